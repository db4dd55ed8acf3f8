"""A real service process on a real broker, for tests: started, killed, asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import grpc
import httpx
from shop.admin.v1.service_pb2_grpc import AdminServiceStub
from shop.inventory.v1.service_pb2_grpc import InventoryServiceStub

from sagaproof.ports import free_ports
from services.engine.migrate import migrate

READY_WITHIN_S = 30.0
T = TypeVar("T")


def eventually(what: str, probe: Callable[[], T], within_s: float = 15.0) -> T:
    """The first result of `probe` that is true; AssertionError with `what` after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        if result := probe():
            return result
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)  # between two looks at a condition


class ServiceProcess:
    """`python -m services.<name>`, with its database in `folder` and ports of its own."""

    def __init__(self, folder: Path, bootstrap_servers: str, name: str = "inventory", **environment: str) -> None:
        self.name = name
        self.folder = folder
        self.grpc_port, self.admin_port, self.http_port = free_ports(3)
        self._environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "INSTANCE": f"{name}-0",
            "GRPC_PORT": str(self.grpc_port),
            "ADMIN_PORT": str(self.admin_port),
            "HTTP_PORT": str(self.http_port),
            "FAULTS": "1",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self.grpc_port}", options=[("grpc.max_reconnect_backoff_ms", 300)]
        )
        admin_options = [("grpc.max_reconnect_backoff_ms", 300)]
        self.admin_channel = grpc.insecure_channel(f"127.0.0.1:{self.admin_port}", options=admin_options)
        self.inventory = InventoryServiceStub(self.channel)
        self.admin = AdminServiceStub(self.admin_channel)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def database(self) -> Path:
        return self.folder / f"{self.name}.db"

    def migrate(self) -> None:
        migrate(self._environment["DATABASE_URL"])

    def launch(self, *, migrated: bool = True) -> None:
        if migrated:
            self.migrate()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self.name}"], env=self._environment, stdout=log, stderr=log
            )

    def start(self) -> None:
        """Returns when it is ready."""
        self.launch()
        eventually("the service is ready", lambda: self.get("/ready") == 200, READY_WITHIN_S)

    def get(self, path: str) -> int:
        """The status that its HTTP listener answers with; 0 if there is no answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=2).status_code
        except httpx.TransportError:
            return 0

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        text = httpx.get(f"http://127.0.0.1:{self.http_port}/metrics", timeout=5).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{")))

    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(5)

    def terminate(self) -> tuple[int, float]:
        """SIGTERM: the exit code, and the seconds that it took."""
        assert self._process is not None
        asked_at = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(15), time.monotonic() - asked_at

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.terminate()
        self.channel.close()
        self.admin_channel.close()
