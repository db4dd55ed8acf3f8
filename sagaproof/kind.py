"""A Kubernetes of one's own by kind, with the shop's images and Strimzi's operator in it: on any host that has Docker.

Nothing is left behind: `delete` removes the cluster with all that is in it. In a place without a network to the
outside, a folder of image archives (`docker save`) and Strimzi's manifest as a file take the place of what would be
pulled.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from sagaproof.errors import CommandError

ROOT = Path(__file__).resolve().parent.parent
NAME = "sagaproof"
CONFIG = ROOT / "k8s" / "kind.yaml"
IMAGES = {"sagaproof/services:dev": "services", "sagaproof/gateway:dev": "gateway"}
"""What is built from here, and by which of images/*.Dockerfile."""
STRIMZI_VERSION = "1.2.0"
STRIMZI = (
    "https://github.com/strimzi/strimzi-kafka-operator/releases/download/"
    f"{STRIMZI_VERSION}/strimzi-cluster-operator-{STRIMZI_VERSION}.yaml"
)
NAMESPACE = "sagaproof"
MEMORY_BYTES = 6 * 2**30
DISK_BYTES = 12 * 2**30
CREATED_WITHIN_S = 300
OPERATOR_WITHIN_S = 180
ARCHIVES = ("*.tar", "*.tar.gz", "*.tgz")


Run = Callable[[Sequence[str | Path]], None]


def run(command: Sequence[str | Path]) -> None:
    """Runs a command whose output goes where ours goes. Raises CommandError."""
    try:
        done = subprocess.run([str(part) for part in command], check=False, cwd=ROOT)
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        said = " ".join(str(part) for part in command[:4])
        raise CommandError(f"`{said} ...` ended with exit code {done.returncode}; what it said is above")


def lacks(find: Callable[[str], str | None] = shutil.which) -> list[str]:
    """What this machine lacks for a cluster, each with what to do: looked at before minutes are spent."""
    missing = [
        f"{name} is not here: {how}"
        for name, how in (
            ("docker", "install Docker Engine, or Docker Desktop"),
            ("kind", "`go install sigs.k8s.io/kind@v0.33.0`, and put Go's bin folder on the PATH"),
            ("kubectl", "install it, or put .venv/bin on the PATH after `make setup-dev`"),
        )
        if find(name) is None
    ]
    if not missing and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        missing.append("Docker's engine does not answer: start it, and see whether `docker info` works for this user")
    memory, disk = psutil.virtual_memory().available, psutil.disk_usage("/").free
    if memory < MEMORY_BYTES:
        missing.append(f"{memory / 2**30:.1f} GB of memory are free: {MEMORY_BYTES / 2**30:.0f} GB are needed")
    if disk < DISK_BYTES:
        missing.append(f"{disk / 2**30:.1f} GB of disk are free: {DISK_BYTES / 2**30:.0f} GB are needed")
    return missing


def create(
    *, preload: Path | None = None, node_image: str = "", strimzi: str = STRIMZI, build: bool = True, run: Run = run
) -> None:
    """A cluster that is ready for `sagaproof cluster up kind`. Raises CommandError.

    preload: a folder of image archives, all of which are loaded before anything is pulled
    node_image: kind's node; '' is the one that this version of kind names by its digest
    build: whether the shop's images are built here; else they are there already, or among the archives
    """
    archives = sorted(found for pattern in ARCHIVES for found in preload.glob(pattern)) if preload else []
    for archive in archives:
        run(["docker", "load", "--input", archive])
    if build:
        for image, name in IMAGES.items():
            run(["docker", "build", "--file", f"images/{name}.Dockerfile", "--tag", image, "."])
    chosen = ["--image", node_image] if node_image else []
    wait = ["--wait", f"{CREATED_WITHIN_S}s"]
    run(["kind", "create", "cluster", "--name", NAME, "--config", CONFIG, *chosen, *wait])
    run(["kind", "load", "docker-image", "--name", NAME, *IMAGES])
    for archive in archives:
        run(["kind", "load", "image-archive", "--name", NAME, archive])
    run(["kubectl", "create", "namespace", NAMESPACE])
    run(["kubectl", "create", "--namespace", NAMESPACE, "--filename", strimzi])
    ready = ["rollout", "status", "deployment/strimzi-cluster-operator", f"--timeout={OPERATOR_WITHIN_S}s"]
    run(["kubectl", "--namespace", NAMESPACE, *ready])


def delete(run: Run = run) -> None:
    """Removes the cluster, with all that is in it. Raises CommandError."""
    run(["kind", "delete", "cluster", "--name", NAME])


def keep_logs(folder: Path, run: Run = run) -> None:
    """The logs of the node and of every container in it. Raises CommandError."""
    run(["kind", "export", "logs", "--name", NAME, folder])
