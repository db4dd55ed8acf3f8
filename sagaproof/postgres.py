"""A PostgreSQL server of one's own, for tests and tools: on a free port, in a folder of theirs.

with server(tmp_path) as postgres:
    postgres.database("order"); postgres.kill(); postgres.start()
"""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sagaproof import logfile
from sagaproof.databases import make_databases
from sagaproof.group import OwnProcess
from sagaproof.ports import free_ports
from sagaproof.postgres_node import PostgresError, Server

START_S = 30.0
STOP_S = 8.0
_POLL_S = 0.05
_LEFT_OVER = "pre-existing shared memory block"
"""What a server says that finds processes of one that was killed: they are about to end by themselves."""


class RunningServer:
    """A server process that a test may kill, stop and start again; its address stays the same.

    It does not outlive this process, whatever becomes of that.
    """

    def __init__(self, spec: Server) -> None:
        self.spec = spec
        self.log = spec.folder / "postgres.log"
        self._process = OwnProcess(self.log)

    def start(self) -> None:
        """Start it and wait until it answers. Raises PostgresError with the end of its log."""
        self.spec.prepare()
        alive = self._process.start(self.spec.command(), self.spec.folder)
        deadline = time.monotonic() + START_S
        while not self.spec.answers():
            late = time.monotonic() > deadline
            if not alive() and not late and _LEFT_OVER in logfile.tail(self.log):
                alive = self._process.start(self.spec.command(), self.spec.folder)
            elif not alive() or late:
                self.stop()
                raise PostgresError(f"PostgreSQL did not start; the end of {self.log}:\n{logfile.tail(self.log)}")
            time.sleep(_POLL_S)

    def database(self, name: str) -> str:
        """The URL of a database and a role of this name, which are made if they are not there."""
        url = self.spec.database_url(name)
        make_databases(self.spec.url, {name: url})
        return url

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._process.end(signal.SIGKILL, STOP_S)

    def stop(self) -> None:
        """In order, without waiting for its clients; SIGKILL if it has not gone after STOP_S."""
        self._process.end(signal.SIGINT, STOP_S)


@contextmanager
def server(folder: Path, **settings: str) -> Generator[RunningServer]:
    """A server on a free port with its data in `folder`, killed at the end of the block. Raises PostgresError."""
    running = RunningServer(Server(folder, free_ports(1)[0], settings))
    try:
        running.start()
        yield running
    finally:
        running.kill()
