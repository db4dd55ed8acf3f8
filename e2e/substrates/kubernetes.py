"""The shop on a Kubernetes: pods of the overlay `plain`, in a namespace of their own in the cluster of the kubeconfig.

Everything is reached through `kubectl port-forward`, so any cluster will do, wherever it is. The images are those of
the overlay with the tag IMAGE_TAG (default: dev), which the cluster must have, or be able to pull.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from e2e.substrates.forwards import Forwards
from e2e.substrates.substrate import CAPABILITIES
from e2e.waiting import eventually
from sagaproof import manifests
from sagaproof.cluster import OVERLAYS, Cluster
from sagaproof.deploy import bring_up
from sagaproof.errors import CommandError
from sagaproof.ports import free_ports
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS
from services.saga import Mode

NAMESPACE = "sagaproof-e2e"
UP_WITHIN_S = 240.0
GONE_WITHIN_S = 45.0
FOUND_WITHIN_S = 30.0
REPLICAS = 2
KAFKA_PORT = 19092
"""The broker says that it is there: see the listener FORWARDED in k8s/components/kafka-plain."""
LOG_LINES = 40

_OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [{plain}]
components: [{components}]
images:
  - {{name: sagaproof/services, newTag: {tag}}}
  - {{name: sagaproof/gateway, newTag: {tag}}}
patches:
  # A kill must be a SIGKILL, which the first process of a container does not feel: here that is Kubernetes' own.
  - target: {{kind: StatefulSet|Deployment}}
    patch: |
      - {{op: add, path: /spec/template/spec/shareProcessNamespace, value: true}}
  # The one that is connected to is the one that is killed.
  - target: {{kind: Deployment, name: gateway}}
    patch: |
      - {{op: replace, path: /spec/replicas, value: 1}}
  # The port of another shop in this cluster is not taken.
  - target: {{kind: Service, name: gateway}}
    patch: |
      - {{op: remove, path: /spec/ports/0/nodePort}}
      - {{op: replace, path: /spec/type, value: ClusterIP}}
"""


@contextmanager
def running(mode: Mode, home: Path) -> Generator[Pods]:
    """A fresh shop, and nothing of it afterwards."""
    cluster = Cluster(NAMESPACE)
    cluster.down()
    try:
        bring_up(cluster, manifests.render(_overlay(mode, home)), print, UP_WITHIN_S)
        with Forwards(cluster, home / "api") as forwards:
            yield Pods(cluster, mode, forwards)
    finally:
        cluster.down()


def _overlay(mode: Mode, home: Path) -> Path:
    folder = home / "overlay"
    folder.mkdir(parents=True, exist_ok=True)
    orchestrated = OVERLAYS.parent / "components" / "orchestrated"
    text = _OVERLAY.format(
        namespace=NAMESPACE,
        plain=os.path.relpath(OVERLAYS / "plain", folder),  # Kustomize takes no absolute one
        components=os.path.relpath(orchestrated, folder) if mode == "orchestrated" else "",
        tag=_tag(),
    )
    (folder / "kustomization.yaml").write_text(text)
    return folder


def image(name: str) -> str:
    """`services` or `gateway`."""
    return f"sagaproof/{name}:{_tag()}"


def _tag() -> str:
    return os.environ.get("IMAGE_TAG", "dev")


class Pods:
    """`e2e.substrates.site.Site` of a namespace."""

    name = "kubernetes"
    can = frozenset(CAPABILITIES)

    def __init__(self, cluster: Cluster, mode: Mode, forwards: Forwards) -> None:
        self.cluster = cluster
        self.mode: Mode = mode
        self._stopped: dict[str, set[int]] = {}
        self._lives: dict[str, dict[str, int]] = {}
        """Process -> pod -> how often its container was started."""
        self._ports: dict[str, tuple[int, int]] = {}
        self._services = [name for name in GRPC_PORTS if mode == "orchestrated" or name != "orchestrator"]
        self._forwards = forwards
        self.url, self.kafka = self._connect(forwards)

    def _connect(self, forwards: Forwards) -> tuple[str, str]:
        processes = [process for service in self._services for process in self.replicas(service)]
        ports = free_ports(2 * len(processes) + 1)
        for process in processes:
            service, _ = _parts(process)
            public, admin = self._ports[process] = ports.pop(), ports.pop()
            listens = GRPC_PORTS[service]
            forwards.add(_pod(process), {public: listens, admin: listens + ADMIN_OFFSET})
        gateway = ports.pop()
        forwards.add("gateway", {gateway: 8080})
        forwards.add(_pod("kafka"), {KAFKA_PORT: KAFKA_PORT})
        return f"http://127.0.0.1:{gateway}", f"127.0.0.1:{KAFKA_PORT}"

    @property
    def services(self) -> Sequence[str]:
        return self._services

    def replicas(self, service: str) -> Sequence[str]:
        return [service, *(f"{service}-{n}" for n in range(1, REPLICAS))]

    def public(self, process: str) -> str:
        return f"127.0.0.1:{self._ports[process][0]}"

    def admin(self, process: str) -> str:
        return f"127.0.0.1:{self._ports[process][1]}"

    def is_up(self, process: str) -> bool:
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for found in self._look(process)
            if "deletionTimestamp" not in found["metadata"]
            for condition in found["status"].get("conditions", [])
        )

    def lives(self, process: str) -> int:
        self._look(process)
        return sum(self._lives.get(process, {}).values())

    def kill(self, process: str) -> None:
        """All processes of the pod, but the one that holds it together."""
        before = self.lives(process)
        name = eventually(f"{process} is there", lambda: self._name(process), FOUND_WITHIN_S)
        with suppress(CommandError):  # what is asked to kill may go with them
            self.cluster.kubectl("exec", name, "--", "sh", "-c", "kill -9 -1")
        eventually(f"{process} is gone", lambda: self.lives(process) > before or not self.is_up(process), GONE_WITHIN_S)

    def restart(self, process: str) -> None:
        name = eventually(f"{process} is there", lambda: self._name(process), FOUND_WITHIN_S)
        self.cluster.kubectl("delete", "pod", name, "--wait", timeout_s=GONE_WITHIN_S)

    def stop(self, process: str) -> None:
        """A StatefulSet can only be without its last pods: those behind this one go as well."""
        service, number = _parts(process)
        self._stopped.setdefault(service, set()).add(number)
        self._scale(service)
        name = _pod(process)
        self.cluster.kubectl("wait", "--for=delete", f"pod/{name}", f"--timeout={GONE_WITHIN_S:.0f}s")

    def start(self, process: str) -> None:
        service, number = _parts(process)
        self._stopped[service].discard(number)
        self._scale(service)

    def restart_all(self, within_s: float) -> None:
        """All pods of the shop, those of one service one after the other. Returns when all are up."""
        self.cluster.kubectl("rollout", "restart", *(f"statefulset/{name}" for name in self._services))
        self.cluster.kubectl("rollout", "restart", "deployment/gateway")
        self.cluster.wait_until_rolled_out(within_s)

    def evict_all(self, within_s: float) -> None:
        """Each pod of the shop, as a node that is drained does: not more of a service than its budget lets go."""
        for number in range(REPLICAS):
            for service in self._services:
                self._evict(f"{service}-{number}")
            self.cluster.wait_until_rolled_out(within_s)

    def _evict(self, pod: str) -> None:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"

        def is_let_go() -> bool:
            try:
                self.cluster.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(eviction))
            except CommandError as error:
                if "disruption budget" not in error.line:
                    raise
                return False
            return True

        eventually(f"{pod} is let go", is_let_go, GONE_WITHIN_S, every_s=1.0)

    def logs(self) -> str:
        names = self.cluster.kubectl("get", "pods", "--output", "name").split()
        return "\n".join(f"--- {name}\n{self._log(name)}" for name in names)

    def _log(self, name: str) -> str:
        try:
            return self.cluster.kubectl("logs", name, f"--tail={LOG_LINES}")
        except CommandError as error:
            return error.line

    def _scale(self, service: str) -> None:
        wanted = min(self._stopped[service], default=REPLICAS)
        self.cluster.kubectl("scale", f"statefulset/{service}", f"--replicas={wanted}")

    def _name(self, process: str) -> str | None:
        there = [found for found in self._look(process) if "deletionTimestamp" not in found["metadata"]]
        return there[0]["metadata"]["name"] if there else None

    def _look(self, process: str) -> list[dict[str, Any]]:
        """The process's pods as they are now; notes how often they were started.

        Kubernetes waits ever longer before it starts a container that ends again and again; with a new pod it does not.
        """
        service, number = _parts(process)
        (found,) = eventually("the API server answers", lambda: self._asked(service), FOUND_WITHIN_S)
        pods = [each for each in found if service == "gateway" or each["metadata"]["name"].endswith(f"-{number}")]
        lives = self._lives.setdefault(process, {})
        for pod in pods:
            for status in pod["status"].get("containerStatuses", []):
                lives[pod["metadata"]["uid"]] = status["restartCount"] + 1
                if status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff":
                    self.cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--ignore-not-found", "--wait=false")
        return pods

    def _asked(self, service: str) -> list[list[dict[str, Any]]]:
        """One list of pods, which may be none; no list while there is no answer."""
        pods = self._forwards.pods(service)
        return [] if pods is None else [pods]


def _parts(process: str) -> tuple[str, int]:
    """Of `order-1`: order, 1."""
    found = re.fullmatch(r"([a-z]+)(?:-(\d+))?", process)
    assert found is not None, process
    return found[1], int(found[2] or 0)


def _pod(process: str) -> str:
    service, number = _parts(process)
    return f"{service}-{number}"
