"""The whole shop on this machine, as `sagaproof run` starts it: addresses, clients, and ways to hurt it.

It has a home folder and ports of its own, so a shop that somebody runs beside it is not touched. Only Kafka's jars are
shared.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import grpc
import httpx
import psutil
from shop.admin.v1 import service_pb2 as admin_pb2
from shop.admin.v1.service_pb2_grpc import AdminServiceStub
from shop.inventory.v1 import service_pb2 as inventory_pb2
from shop.inventory.v1.service_pb2_grpc import InventoryServiceStub
from shop.payment.v1 import service_pb2 as payment_pb2
from shop.payment.v1.service_pb2_grpc import PaymentServiceStub

from e2e.reading import Addresses
from e2e.waiting import eventually
from sagaproof import runstate
from sagaproof.group import Group
from sagaproof.ports import free_ports, is_free
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS, HOST, REPLICA_OFFSET, state_home
from services.saga import Mode

START_WITHIN_S = 150.0
STOP_WITHIN_S = 20.0
HEALS_WITHIN_S = 30.0
ENDS_WITHIN_S = 45.0
"""The deadline of an order, and what it takes to compensate on a busy machine."""
ENDED = ("COMPLETED", "CANCELLED")


class Variant(NamedTuple):
    """One way to run the shop; `mode` is its SAGA_MODE."""

    mode: Mode
    replicas: int = 1
    postgres: bool = False

    @property
    def name(self) -> str:
        """Without the mode."""
        return f"postgres-{self.replicas}-replicas" if self.postgres else "sqlite"

    @property
    def arguments(self) -> list[str]:
        """Of `sagaproof run`."""
        return [*(["--postgres"] if self.postgres else []), "--replicas", str(self.replicas)]


VARIANTS = {
    f"{variant.mode}-{variant.name}": variant
    for variant in (
        Variant("choreographed"),
        Variant("orchestrated"),
        Variant("choreographed", 2, postgres=True),
        Variant("orchestrated", 2, postgres=True),
    )
}
DEFAULT = "choreographed-sqlite"
POSTGRES = [name for name, variant in VARIANTS.items() if variant.postgres]
ORCHESTRATED = [name for name, variant in VARIANTS.items() if variant.mode == "orchestrated"]
SAMPLE = (DEFAULT, POSTGRES[-1])
"""Two that differ in everything: of tests that are in all variants, `make test` runs these, and `make prove` all."""


class Shop:
    """A running shop. `home` keeps its data and logs."""

    def __init__(self, home: Path, variant: Variant = VARIANTS[DEFAULT], /, **environment: str) -> None:
        self.home = home
        self.mode: Mode = variant.mode
        self.variant = variant
        self._base_port, self.port = _ports()
        self.url = f"http://{HOST}:{self.port}"
        self._environment = {
            **os.environ,
            "SAGAPROOF_HOME": str(home),
            "SAGAPROOF_BASE_PORT": str(self._base_port),
            "PORT": str(self.port),
            **environment,
        }
        home.mkdir(parents=True, exist_ok=True)
        jars = state_home(os.environ) / "kafka"
        if not (home / "kafka").exists():
            (home / "kafka").symlink_to(jars)
        self._process: subprocess.Popen[bytes] | None = None
        self._group = Group()
        self.http = httpx.Client(base_url=self.url, timeout=15.0)
        self._channels: dict[str, grpc.Channel] = {}

    @property
    def services(self) -> list[str]:
        """Those that run in its mode."""
        return [name for name in GRPC_PORTS if name != "orchestrator" or self.mode == "orchestrated"]

    def start(self) -> None:
        """Returns when everything is ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        environment = {**self._environment, "SAGA_MODE": self.mode}
        with (self.home / "run.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sagaproof", "run", *self.variant.arguments],
                env=environment,
                stdout=log,
                stderr=log,
                process_group=self._group.id,
            )
        eventually("the shop is ready", self._is_ready, START_WITHIN_S)

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"`sagaproof run` ended:\n{(self.home / 'run.log').read_text()}")
        return self.ready()

    def ready(self) -> bool:
        """Whether every process of the shop is up and answers."""
        state = runstate.read(self.home)
        if state is None or not all(process.ready for process in state.processes.values()):
            return False
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """As Ctrl-C does. The exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_WITHIN_S)
        finally:
            self._process.kill()

    def switch(self, mode: Mode) -> None:
        """Goes on in the other mode, on the same data."""
        assert self.stop() == 0
        self.mode = mode
        self.start()

    def kill_supervisor(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_WITHIN_S)

    def close(self) -> None:
        self.http.close()
        for channel in self._channels.values():
            channel.close()
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self._group.end()

    def process(self, name: str) -> psutil.Process | None:
        """A process of the shop by its name in run.json; None while it is between two lives."""
        state = runstate.read(self.home)
        pid = state.processes[name].pid if state else 0
        return psutil.Process(pid) if pid and psutil.pid_exists(pid) else None

    def kill(self, name: str) -> None:
        """SIGKILL; returns when it is gone."""
        process = eventually(f"{name} lives", lambda: self.process(name), HEALS_WITHIN_S)
        process.kill()
        process.wait(5)

    def heal(self) -> None:
        """Waits until everything is ready again."""
        eventually("everything is ready again", self.ready, HEALS_WITHIN_S)

    def order(self, *items: tuple[str, int], user: str = "", key: str = "", within_s: float = HEALS_WITHIN_S) -> str:
        """Places an order, again and again with the same key while the shop is hurt; its id."""
        key = key or str(uuid4())
        body = {
            "userId": user or f"user-{uuid4()}",
            "items": [{"productId": product, "quantity": quantity} for product, quantity in items],
        }

        def place() -> str | None:
            try:
                answer = self.http.post("/order", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                return None
            if answer.status_code == 503:
                return None
            assert answer.status_code == 202, answer.text
            return answer.json()["orderId"]

        return eventually("an order is accepted", place, within_s)

    def status(self, order_id: str) -> dict[str, Any] | None:
        """The `/status` document; None while the gateway does not answer."""
        try:
            answer = self.http.get(f"/status/{order_id}")
        except httpx.TransportError:
            return None
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, order_id: str, within_s: float = ENDS_WITHIN_S) -> dict[str, Any]:
        """Waits for an order's ending; the document then."""

        def end() -> dict[str, Any] | None:
            document = self.status(order_id)
            return document if document and document["status"] in ENDED else None

        return eventually(f"order {order_id} ends", end, within_s)

    def settled(self, order_ids: Sequence[str], within_s: float = ENDS_WITHIN_S) -> list[dict[str, Any]]:
        """The documents of all these orders, when each has ended and nothing is reserved any more."""
        documents = [self.ended(order_id, within_s) for order_id in order_ids]
        eventually("nothing is reserved", lambda: all(p["reserved"] == 0 for p in self.products().values()), within_s)
        return documents

    def products(self) -> dict[str, dict[str, Any]]:
        return {product["productId"]: product for product in self.http.get("/products").json()}

    def restock(self, product_id: str, quantity: int) -> None:
        request = inventory_pb2.RestockRequest(request_id=str(uuid4()), product_id=product_id, quantity=quantity)
        InventoryServiceStub(self._channel("inventory", 0)).Restock(request, timeout=15, wait_for_ready=True)

    def balance_minor(self, user: str) -> int:
        stub = PaymentServiceStub(self._channel("payment", 0))
        answer = stub.GetAccount(payment_pb2.GetAccountRequest(user_id=user), timeout=15, wait_for_ready=True)
        return answer.account.balance.amount_minor

    def accounts(self, after: str, limit: int) -> dict[str, int]:
        """User -> balance in minor units, of the users behind `after`."""
        request = payment_pb2.ListAccountsRequest(after_user_id=after, limit=limit)
        answer = PaymentServiceStub(self._channel("payment", 0)).ListAccounts(request, timeout=15, wait_for_ready=True)
        return {account.user_id: account.balance.amount_minor for account in answer.accounts}

    def admin(self, service: str) -> AdminServiceStub:
        return AdminServiceStub(self._channel(service, ADMIN_OFFSET))

    def inject(self, service: str, point: str, message_type: str = "") -> None:
        """Arms a SIGKILL of the service at the point, in each replica."""
        kill = admin_pb2.FaultAction.FAULT_ACTION_KILL
        fault = admin_pb2.Fault(point=point, action=kill, message_type=message_type)
        for admin in self._admins(service):
            admin.InjectFault(admin_pb2.InjectFaultRequest(fault=fault), timeout=15, wait_for_ready=True)

    def disarm(self, service: str) -> None:
        """Forgets what was injected and has not struck."""
        for admin in self._admins(service):
            admin.ClearFaults(admin_pb2.ClearFaultsRequest(), timeout=15, wait_for_ready=True)

    @contextmanager
    def paused(self, service: str) -> Generator[None]:
        """No replica of the service takes a record inside."""
        for admin in self._admins(service):
            admin.Pause(admin_pb2.PauseRequest(), timeout=15)
        try:
            yield
        finally:
            for admin in self._admins(service):
                admin.Resume(admin_pb2.ResumeRequest(), timeout=15)

    def _admins(self, service: str) -> list[AdminServiceStub]:
        replicas = range(self.variant.replicas)
        return [AdminServiceStub(self._channel(service, ADMIN_OFFSET + n * REPLICA_OFFSET)) for n in replicas]

    def restarts(self, name: str) -> int:
        """Of all replicas together."""
        state = runstate.read(self.home)
        names = [name, *(f"{name}-{n}" for n in range(1, self.variant.replicas))]
        return sum(state.processes[each].restarts for each in names) if state else 0

    def kafka(self) -> str:
        state = runstate.read(self.home)
        assert state is not None
        return state.kafka

    def logs(self) -> str:
        """The end of every process's log, for a failure's message."""
        ends = [f"--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(ends)

    def addresses(self) -> Addresses:
        """Where its history can be read."""
        return Addresses(
            self.kafka(),
            {service: self.address(service) for service in self.services},
            {service: self.address(service, ADMIN_OFFSET) for service in self.services},
        )

    def address(self, service: str, offset: int = 0) -> str:
        return f"{HOST}:{GRPC_PORTS[service] - 9050 + self._base_port + offset}"

    def _channel(self, service: str, offset: int) -> grpc.Channel:
        address = self.address(service, offset)
        if address not in self._channels:
            options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
            self._channels[address] = grpc.insecure_channel(address, options=options)
        return self._channels[address]


def _ports() -> tuple[int, int]:
    """A base port whose services', admin and HTTP ports are all free, and one for the gateway."""
    # Below those that `free_ports` draws from; drawn too, since others may look for some at the same moment.
    for base in random.sample(range(10_000, 19_000, 500), k=18):
        offsets = [first + offset for first in (0, REPLICA_OFFSET) for offset in (0, ADMIN_OFFSET, 2 * ADMIN_OFFSET)]
        wanted = [base + offset + n for offset in offsets for n in range(10)]
        if all(is_free(port) for port in wanted):
            return base, free_ports(1, avoid=wanted)[0]
    raise AssertionError("no free ports for a shop")


@contextmanager
def running(home: Path, variant: Variant = VARIANTS[DEFAULT], /, **environment: str) -> Generator[Shop]:
    """A shop that runs for the length of the block."""
    shop = Shop(home, variant, **environment)
    try:
        shop.start()
        yield shop
    finally:
        shop.close()
