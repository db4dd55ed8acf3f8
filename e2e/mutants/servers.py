"""The servers that some mutants are tried on: started when the first one needs them, ended after the last."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from e2e.mutants import deliveries, replicas
from e2e.mutants.mutant import Way
from sagaproof.kafka import broker
from sagaproof.postgres import server
from services.engine.migrate import migrate
from services.topics import TOPICS

DEADLOCK_TIMEOUT = "50ms"
"""When PostgreSQL looks whether two wait for each other. Its default of 1 s would only make trials longer."""


class Servers:
    """A context: what was started in it is ended at its end. May be used from any thread."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._starting = threading.Lock()
        self._started: dict[Way, Mapping[str, str]] = {}

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def environment(self, way: Way) -> Mapping[str, str]:
        """Where a trial finds what it needs."""
        with self._starting:
            if way not in self._started:
                self._started[way] = self._start(way)
            return self._started[way]

    def _start(self, way: Way) -> Mapping[str, str]:
        match way:
            case "replicas":
                settings = {"fsync": "off", "deadlock_timeout": DEADLOCK_TIMEOUT}
                running = self._stack.enter_context(server(self._folder(), **settings))
                template = running.database("template")
                migrate(template)
                return {replicas.ADMIN: running.spec.url, replicas.TEMPLATE: template}
            case "deliveries":
                kafka = self._stack.enter_context(broker(self._folder(), topics=TOPICS))
                return {deliveries.BROKER: kafka.bootstrap_servers, deliveries.PID: str(kafka.pid)}
            case _:
                return {}

    def _folder(self) -> Path:
        made = tempfile.TemporaryDirectory(prefix="sagaproof-mutants-", ignore_cleanup_errors=True)
        return Path(self._stack.enter_context(made))
