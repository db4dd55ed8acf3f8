"""A kind cluster on this machine's Docker, with Strimzi's operator: `sagaproof cluster create`.

Whatever an air-gapped machine lacks is given as files: images as archives (`docker save`), the operator's manifest, and
the node's image. Says in one line what is missing before anything is started.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from sagaproof.cluster import Cluster
from sagaproof.errors import CommandError

NAME = "sagaproof"
CONFIG = Path(__file__).resolve().parent.parent / "k8s" / "kind.yaml"
NODE_IMAGE = "kindest/node:v1.36.1"
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
IMAGES = ("sagaproof/services:dev", "sagaproof/gateway:dev")
CREATED_WITHIN_S = 600.0
FREE_BYTES = 6 * 2**30


def preflight() -> None:
    """Raises CommandError with what is missing."""
    for program, how in (
        ("docker", "install Docker"),
        ("kind", "go install sigs.k8s.io/kind@v0.33.0"),
    ):
        if shutil.which(program) is None:
            raise CommandError(f"there is no {program}: {how}")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        raise CommandError("the Docker engine does not answer: start it, and see that `docker info` works")
    free = shutil.disk_usage("/").free
    if free < FREE_BYTES:
        raise CommandError(f"{free / 2**30:.1f} GB are free, and a kind with the shop needs {FREE_BYTES / 2**30:.0f}")


def create(say: Callable[[str], None], preload: Path | None, node_image: str, strimzi: str) -> None:
    """The cluster, with the shop's images and the operator; one of the name that is there is an error."""
    preflight()
    archives = sorted(preload.glob("*.tar*")) if preload else []
    for archive in archives:
        _run(["docker", "load", "--input", str(archive)])
    missing = [image for image in IMAGES if _code(["docker", "image", "inspect", image])]
    if missing:
        raise CommandError(f"there is no image {missing[0]}: build it as docs/kubernetes.md says, or --preload it")
    say("making the cluster")
    _run(
        ["kind", "create", "cluster", "--name", NAME, "--config", str(CONFIG), "--image", node_image, "--wait", "120s"]
    )
    say("loading images")
    for archive in archives:
        _run(["kind", "load", "image-archive", "--name", NAME, str(archive)])
    _run(["kind", "load", "docker-image", "--name", NAME, *IMAGES])
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
    _run(["kind", "delete", "cluster", "--name", NAME])


def logs(folder: Path) -> None:
    """Of the node and of every pod, for whoever looks into what failed."""
    _run(["kind", "export", "logs", "--name", NAME, str(folder)])


def _code(command: Sequence[str]) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


def _run(command: Sequence[str]) -> None:
    """Raises CommandError with the end of what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CREATED_WITHIN_S)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise CommandError(f"{' '.join(command[:3])}: {lines[-1]}", lines[-10:-1])
