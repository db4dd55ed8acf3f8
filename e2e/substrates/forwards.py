"""Ports of pods, and the API server, on this machine: by a kubectl that is started again when it or its container ends.

To ask the API server so costs a fraction of what a kubectl for each question does; a shop beside it feels that.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from sagaproof.cluster import Cluster

AGAIN_S = 0.3
LOOK_EVERY_S = 0.5
ENDS_WITHIN_S = 5.0
NAME_LABEL = "app.kubernetes.io/name"


class Life(NamedTuple):
    """Of a pod's containers, by their ids."""

    pod: str
    containers: frozenset[str]
    is_ready: bool


class Forwards:
    """All of one namespace; none is left after the block. `socket`: of the API server, which nobody else can open."""

    def __init__(self, cluster: Cluster, socket: Path) -> None:
        self._cluster = cluster
        self._ending = threading.Event()
        self._lives: Mapping[str, Life] = {}
        self._threads: list[threading.Thread] = []
        self._proxy = cluster.command("proxy", f"--unix-socket={socket}")
        base_url = f"http://localhost/api/v1/namespaces/{cluster.namespace}"
        self._api = httpx.Client(base_url=base_url, transport=httpx.HTTPTransport(uds=str(socket)))

    def __enter__(self) -> Self:
        self._start("api", self._keep_api)
        self._start("pods", self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(ENDS_WITHIN_S)
        self._api.close()

    def add(self, name: str, ports: Mapping[int, int]) -> None:
        """From now on; `name`: of a pod, or of a Deployment, for one of its pods. `ports`: ours -> the pod's."""
        self._start(name, self._keep, name, [f"{ours}:{theirs}" for ours, theirs in ports.items()])

    def pods(self, service: str = "") -> list[dict[str, Any]] | None:
        """As they are now: those of a service, or all. None while there is no answer."""
        try:
            answer = self._api.get("/pods", params={"labelSelector": f"{NAME_LABEL}={service}"} if service else None)
        except httpx.TransportError:
            return None
        return answer.json()["items"] if answer.is_success else None

    def _start(self, name: str, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name=f"forward {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep_api(self) -> None:
        while not self._ending.is_set():
            with _process(self._proxy) as process:
                while process.poll() is None and not self._ending.wait(AGAIN_S):
                    pass

    def _look(self) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            if pods := self.pods():
                self._lives = dict(lives(pods))

    def _keep(self, name: str, ports: Sequence[str]) -> None:
        """One whose container has ended, or was not there yet, may take connections for ever, and lead nowhere."""
        while not self._ending.wait(AGAIN_S):
            life = self._lives.get(name)
            if life is None or not life.is_ready:
                continue
            with _process(self._cluster.command("port-forward", f"pod/{life.pod}", *ports)) as process:
                while process.poll() is None and not self._ending.wait(AGAIN_S):
                    now = self._lives.get(name)
                    if now is None or now.containers != life.containers:
                        break


def lives(pods: Sequence[Mapping[str, Any]]) -> Sequence[tuple[str, Life]]:
    """By the name of the pod, and by what its label says; who is ready comes last."""
    found: list[tuple[str, Life]] = []
    for pod in pods:
        metadata, status = pod["metadata"], pod["status"]
        if "deletionTimestamp" not in metadata and (containers := status.get("containerStatuses")):
            ids = frozenset(each.get("containerID", "") for each in containers)
            life = Life(metadata["name"], ids, all(each["ready"] for each in containers))
            found += [(metadata["name"], life), (metadata.get("labels", {}).get(NAME_LABEL, ""), life)]
    return sorted(found, key=lambda each: each[1].is_ready)


@contextmanager
def _process(command: Sequence[str]) -> Generator[subprocess.Popen[bytes]]:
    """Runs inside the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
