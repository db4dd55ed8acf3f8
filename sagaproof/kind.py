"""A kind cluster on this machine's Docker, with Strimzi's operator: `sagaproof cluster create`.

Whatever an air-gapped machine lacks is given as files: images as archives (`docker save`), the operator's manifest, and
the node's image. What is missing is said before anything is started.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from sagaproof.cluster import Cluster
from sagaproof.errors import CommandError

NAME = "sagaproof"
CONFIG = Path(__file__).resolve().parent.parent / "k8s" / "kind.yaml"
STRIMZI = (
    "https://github.com/strimzi/strimzi-kafka-operator/releases/download/1.2.0/strimzi-cluster-operator-1.2.0.yaml"
)
STRIMZI_NAMESPACE = "myproject"
"""What the operator's manifest calls the namespace that it is meant to be replaced by."""
STRIMZI_EVERYWHERE = {
    "strimzi-cluster-operator-namespaced": "strimzi-cluster-operator-namespaced",
    "strimzi-cluster-operator-watched": "strimzi-cluster-operator-watched",
    "strimzi-cluster-operator-entity-operator-delegation": "strimzi-entity-operator",
}
"""What it needs to watch every namespace: bindings, and the roles of its manifest."""
IMAGES = {"sagaproof/services:dev": "services", "sagaproof/gateway:dev": "gateway"}
"""What is built from here, each by one of images/*.Dockerfile."""
COMMAND_WITHIN_S = 900.0
MEMORY_BYTES = 6 * 2**30
DISK_BYTES = 12 * 2**30
ARCHIVES = ("*.tar", "*.tar.gz", "*.tgz")


def lacks(find: Callable[[str], str | None] = shutil.which) -> list[str]:
    """What this machine lacks for a cluster, each with what to do: looked at before minutes are spent."""
    missing = [
        f"{program} is not here: {how}"
        for program, how in (
            ("docker", "install Docker Engine, or Docker Desktop"),
            ("kind", "`go install sigs.k8s.io/kind@v0.33.0`, with Go's bin folder on the PATH"),
        )
        if find(program) is None
    ]
    if not missing and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        missing.append("Docker's engine does not answer: start it, and see that `docker info` works for this user")
    memory, disk = psutil.virtual_memory().available, shutil.disk_usage("/").free
    if memory < MEMORY_BYTES:
        missing.append(f"{memory / 2**30:.1f} GB of memory are free: {MEMORY_BYTES / 2**30:.0f} GB are needed")
    if disk < DISK_BYTES:
        missing.append(f"{disk / 2**30:.1f} GB of disk are free: {DISK_BYTES / 2**30:.0f} GB are needed")
    return missing


def create(
    say: Callable[[str], None],
    preload: Path | None = None,
    node_image: str = "",
    strimzi: str = STRIMZI,
    *,
    build: bool = True,
) -> None:
    """A cluster that is ready for `sagaproof cluster up kind`. Raises CommandError; also if there is one already.

    preload: a folder of image archives, all of which are loaded before anything is pulled
    node_image: kind's node; '' is the one that this version of kind names by its digest
    build: whether the shop's images are built here; else they are there, or among the archives
    """
    archives = sorted(found for pattern in ARCHIVES for found in preload.glob(pattern)) if preload else []
    for archive in archives:
        say(f"loading {archive.name}")
        run(["docker", "load", "--input", str(archive)])
    for image, name in IMAGES.items() if build else ():
        say(f"building {image}")
        run(["docker", "build", "--file", f"images/{name}.Dockerfile", "--tag", image, "."])
    say("making the cluster")
    node = ["--image", node_image] if node_image else []
    run(["kind", "create", "cluster", "--name", NAME, "--config", str(CONFIG), *node, "--wait", "300s"])
    say("loading images into it")
    for archive in archives:
        run(["kind", "load", "image-archive", "--name", NAME, str(archive)])
    run(["kind", "load", "docker-image", "--name", NAME, *IMAGES])
    say("starting Strimzi's operator")
    install_strimzi(Cluster("strimzi"), strimzi)


def install_strimzi(operator: Cluster, manifest: str) -> None:
    """The operator in a namespace of its own, for all others. `manifest`: a file, or an address that kubectl reads.

    The shop's namespace is no place for it, as that takes restricted pods only.
    """
    operator.ensure_namespace()
    read = operator.kubectl("create", "--dry-run=client", "--output", "yaml", "-f", manifest)
    moved = read.replace(f"namespace: {STRIMZI_NAMESPACE}", f"namespace: {operator.namespace}")
    operator.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=moved)
    account = f"--serviceaccount={operator.namespace}:strimzi-cluster-operator"
    there = operator.kubectl("get", "clusterrolebindings", "--output", "name")
    for binding, role in STRIMZI_EVERYWHERE.items():
        if f"/{binding}\n" not in there:
            operator.kubectl("create", "clusterrolebinding", binding, f"--clusterrole={role}", account)
    everywhere = ("STRIMZI_NAMESPACE=*", "STRIMZI_POD_SECURITY_PROVIDER_CLASS=restricted")
    operator.kubectl("set", "env", "deployment/strimzi-cluster-operator", *everywhere)
    operator.wait_until_rolled_out()


def delete() -> None:
    """Removes the cluster, with all that is in it. Raises CommandError."""
    run(["kind", "delete", "cluster", "--name", NAME])


def logs(folder: Path) -> None:
    """Of the node and of every pod, for whoever looks into what failed. Raises CommandError."""
    run(["kind", "export", "logs", "--name", NAME, str(folder)])


def run(command: Sequence[str]) -> None:
    """Raises CommandError with the end of what it said."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=COMMAND_WITHIN_S, cwd=CONFIG.parent.parent
        )
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{' '.join(command[:3])}: not done after {COMMAND_WITHIN_S:.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise CommandError(f"{' '.join(command[:3])}: {lines[-1]}", lines[-10:-1])
