"""Ports of pods, and the API server, on this machine: by kubectl, which is started again when it ends, as with its pod.

To ask the API server so costs a fraction of what a kubectl for each question does; a shop beside it feels that.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sagaproof.cluster import Cluster

AGAIN_S = 0.3
ENDS_WITHIN_S = 5.0


class Forwards:
    """All of one namespace; none is left after the block."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._ending.set()
            for process in self._processes.values():
                process.terminate()
        for thread in self._threads:
            thread.join(ENDS_WITHIN_S)

    def add(self, target: str, ports: Mapping[int, int]) -> None:
        """From now on; `ports`: ours -> the pod's."""
        both = [f"{ours}:{theirs}" for ours, theirs in ports.items()]
        self._start(target, self._cluster.command("port-forward", target, *both))

    def renew(self, target: str) -> None:
        """Its pod has lived again: a kubectl that saw the end may take connections from then on, and lead nowhere."""
        with self._lock:
            if target in self._processes:
                self._processes[target].terminate()

    def api(self, socket: Path) -> None:
        """The API server, on a socket which nobody else can open."""
        self._start("api", self._cluster.command("proxy", f"--unix-socket={socket}"))

    def _start(self, name: str, command: Sequence[str]) -> None:
        thread = threading.Thread(target=self._keep, args=(name, command), name=f"forward {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep(self, name: str, command: Sequence[str]) -> None:
        while True:
            with self._lock:
                if self._ending.is_set():
                    return
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self._processes[name] = process
            process.wait()
            self._ending.wait(AGAIN_S)
