"""Inventory's real engine, store and AdminService in a thread of the test: only Kafka is not there.

Its records are put into its mailbox, and what it publishes goes nowhere, so the commands of an operator can be tested
in a second, on what they really talk to.
"""

import asyncio
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
from shop.admin.v1.service_pb2_grpc import add_AdminServiceServicer_to_server

from sagaproof import runstate
from sagaproof.ports import free_ports
from sagaproof.runstate import Running, RunState, Supervised
from services import catalogue
from services.engine.admin import Admin
from services.engine.faults import Faults
from services.engine.health import Health
from services.engine.loop import BATCH_MAX, Engine
from services.engine.mailbox import Mailbox
from services.engine.messages import Record
from services.engine.retry import Retry
from services.engine.rpc import Validation
from services.engine.settings import EngineSettings
from services.engine.sqlite import SqliteStore
from services.engine.tests.toy import Broker
from services.inventory.decider import participant

WITHIN_S = 10.0
IDLE_S = 0.05


class _NoKafka:
    """Where the service stands in its topics: nowhere."""

    def positions(self, _within_s: float) -> list[tuple[str, int, int, int]]:
        return []


class AdminProcess:
    """One process of inventory. `admin_port` is its AdminService's."""

    def __init__(self, path: Path, instance: str, *, faults: bool) -> None:
        self.mailbox = Mailbox()
        self.faults = Faults()
        self.store = SqliteStore(str(path))
        self.admin_port = 0
        self._inventory = participant(catalogue.read(""), "choreographed")
        self._stopping = threading.Event()
        self._engine = Engine(self._inventory, self.store, Broker(), self.faults, Retry(self._stopping, lambda _: None))
        self._settings = EngineSettings(
            kafka_bootstrap_servers="",
            database_url=f"sqlite:///{path}",
            instance=instance,
            grpc_port=1,
            admin_port=1,
            http_port=1,
            faults=faults,
        )
        self._offset = 0
        self._listening = threading.Event()
        self._asyncio = asyncio.new_event_loop()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._work, self._serve)]

    def __enter__(self) -> "AdminProcess":
        for thread in self._threads:
            thread.start()
        assert self._listening.wait(WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._asyncio.call_soon_threadsafe(self._end.set)
        for thread in self._threads:
            thread.join(WITHIN_S)
        self.store.close()

    def receive(self, payload: bytes, headers: Mapping[str, bytes], key: bytes) -> str:
        """A record of the topic `orders`; where it stands."""
        record = Record("orders", 0, self._offset, key, headers, payload)
        self._offset += 1
        self.mailbox.put_records([record])
        return record.place

    def _work(self) -> None:
        self._engine.start()
        while not self._stopping.is_set():
            self._engine.cycle(*self.mailbox.take(BATCH_MAX, IDLE_S))

    def _serve(self) -> None:
        asyncio.set_event_loop(self._asyncio)
        self._asyncio.run_until_complete(self._served())

    async def _served(self) -> None:
        self._end = asyncio.Event()
        server = grpc.aio.server(interceptors=[Validation()])
        observer = cast("Any", _NoKafka())
        now_us = time.time_ns() // 1000
        admin = Admin(
            self._settings, self._inventory, self.store, self.mailbox, observer, Health(), self.faults, None, now_us
        )
        add_AdminServiceServicer_to_server(admin, server)
        self.admin_port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._listening.set()
        await self._end.wait()
        await server.stop(None)


@contextmanager
def running(home: Path, *instances: str, faults: bool = True, silent: str = "order") -> Generator[list[AdminProcess]]:
    """Processes of inventory, written down as a run of `home`; beside them one at whose port nobody listens."""
    with ExitStack() as stack:
        found = [stack.enter_context(AdminProcess(home / f"{name}.db", name, faults=faults)) for name in instances]
        ports = {name: process.admin_port for name, process in zip(instances, found, strict=True)}
        all_ports = {silent: free_ports(1)[0], **ports}
        processes = {name: Supervised(grpc=1, admin=port) for name, port in all_ports.items()}
        runstate.write(home, RunState(Running(), "http://127.0.0.1:1", "", "choreographed", str(home), processes))
        yield found
