"""A shop that really runs, as a substrate: all that clients do from outside, on whatever `Site` has its processes.

It lives as long as the shop, and remembers what it was told, has seen and has broken: that is what a recorded history
needs besides. One scenario at a time may use it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from shop.admin.v1 import service_pb2 as admin

from e2e.history import Accepted, FaultSpan, History, Poisoned
from e2e.reading import Addresses
from e2e.recorder import record
from e2e.simulated.world import participants
from e2e.substrates.clients import RPC_WITHIN_S, Clients
from e2e.substrates.groups import members_with_partitions
from e2e.substrates.load import THINKS_S, Load, ordering
from e2e.substrates.poison import Kind, buried_by, poison
from e2e.substrates.records import mirroring, put
from e2e.substrates.site import Site
from e2e.substrates.substrate import CannotError, Capability, Ending, Order
from e2e.substrates.watching import Watches
from e2e.waiting import eventually
from services.engine.faults import Point
from services.saga import Mode
from services.topics import TOPICS

BACK_WITHIN_S = 60.0
"""A process, after it was killed or started."""
STRUCK_WITHIN_S = 30.0
ENDS_WITHIN_S = 60.0
"""The deadline of an order, and what it takes to compensate on a busy machine."""
REST_WITHIN_S = 120.0
WATCHES_END_WITHIN_S = 60.0
LEAVES_WITHIN_S = 30.0
"""A static member's session, and the rebalance."""
DEADLINE_S = 30.0
LETTERS_MAX = 1_000


class Deployed:
    """`Substrate` on a site."""

    recovers_within_s: float | None = 15.0
    far_behind = 20_000

    def __init__(self, site: Site) -> None:
        self._site = site
        self.name: str = site.name
        self.mode: Mode = site.mode
        self.can: frozenset[Capability] = site.can
        self._clients = Clients(site)
        self._watches = Watches(site.url)
        self._accepted: dict[str, Accepted] = {}
        self._faults: list[FaultSpan] = []
        self._poisoned: list[Poisoned] = []

    @property
    def services(self) -> Sequence[str]:
        return self._site.services

    @property
    def processes(self) -> Sequence[str]:
        return [*(process for service in self.services for process in self.replicas(service)), "gateway"]

    def replicas(self, service: str) -> Sequence[str]:
        return self._site.replicas(service)

    def close(self) -> None:
        self._watches.close()
        self._clients.close()

    # Customers and operators

    def place(self, order: Order) -> str:
        user = order.user or f"user-{uuid4()}"
        order_id = self._clients.order(user, order.items)
        self._accepted[order_id] = Accepted(order_id, user, order.items, _now_us())
        if order.watched:
            self._watches.begin(order_id)
        return order_id

    def cancel(self, order_id: str) -> None:
        self._clients.cancel(order_id)

    def restock(self, product: str, pieces: int) -> None:
        self._clients.restock(product, pieces)

    def deposit(self, user: str, amount_minor: int) -> None:
        self._clients.deposit(user, amount_minor)

    def load(self, draw: Callable[[], Order], *, hurried: bool = False) -> AbstractContextManager[Load]:
        return ordering(self.place, draw, 0.0 if hurried else THINKS_S)

    # What is seen

    def reaches(self, order_id: str, status: str) -> None:
        eventually(
            f"order {order_id} is {status}", lambda: self._clients.status(order_id)["status"] == status, ENDS_WITHIN_S
        )

    def ending(self, order_id: str) -> Ending:
        def end() -> Ending | None:
            document = self._clients.status(order_id)
            ended = document["status"] in ("COMPLETED", "CANCELLED")
            return Ending(document["status"], document["reason"] or "") if ended else None

        return eventually(f"order {order_id} ends", end, ENDS_WITHIN_S)

    def lag(self, service: str) -> int:
        any_replica = self.replicas(service)[0]  # each tells of the whole group
        request, stub = admin.GetInfoRequest(), self._clients.admin(any_replica)
        return self._clients.ask(lambda: stub.GetInfo(request, timeout=RPC_WITHIN_S, wait_for_ready=True)).lag

    def passes(self, seconds: float) -> None:
        threading.Event().wait(seconds)  # how long a fault lasts, and not a wait for anything

    def addresses(self) -> Addresses:
        """Where its history can be read."""
        site = self._site
        return Addresses(
            site.kafka,
            {service: site.public(self.replicas(service)[0]) for service in self.services},
            {service: site.admin(self.replicas(service)[0]) for service in self.services},
        )

    @property
    def home(self) -> Path | None:
        """The folder of its data and logs, where that is on this machine."""
        return getattr(self._site, "home", None)

    def history(self) -> History:
        eventually("every watch has ended", lambda: not self._watches.open, WATCHES_END_WITHIN_S)
        history = record(self.addresses(), [topic.name for topic in TOPICS], rest_within_s=REST_WITHIN_S)
        history.accepted |= self._accepted
        history.observed = self._watches.seen()
        history.poisoned = list(self._poisoned)
        history.faults = list(self._faults)
        return history

    # Faults

    def kill(self, *processes: str) -> None:
        with self._noted("kill", *processes):
            lives = {process: self._site.lives(process) for process in processes}
            for process in processes:
                self._site.kill(process)
            self._wait_until_back(lives)

    @contextmanager
    def killed_at(self, service: str, point: Point, message_type: str) -> Generator[None]:
        kill = admin.FaultAction.FAULT_ACTION_KILL
        request = admin.InjectFaultRequest(fault=admin.Fault(point=point, action=kill, message_type=message_type))
        lives = {process: self._site.lives(process) for process in self.replicas(service)}
        for process in lives:
            stub = self._clients.admin(process)
            self._clients.ask(lambda stub=stub: stub.InjectFault(request, timeout=RPC_WITHIN_S, wait_for_ready=True))

        def struck() -> dict[str, int]:
            """Whoever of them has died, and how often it had been started before."""
            return {process: before for process, before in lives.items() if self._site.lives(process) > before}

        with self._noted("kill", service):
            try:
                yield
                fallen = eventually(f"{service} dies {point} of {message_type}", struck, STRUCK_WITHIN_S)
                self._wait_until_back(fallen)
            finally:
                self._disarm(service)

    @contextmanager
    def stopped(self, service: str) -> Generator[None]:
        with self._noted("stop", service), self._down(*self.replicas(service)):
            yield

    @contextmanager
    def paused(self, service: str) -> Generator[None]:
        admins = [self._clients.admin(process) for process in self.replicas(service)]
        with self._noted("pause", service):
            for stub in admins:
                self._clients.ask(lambda s=stub: s.Pause(admin.PauseRequest(), timeout=RPC_WITHIN_S))
            try:
                yield
            finally:
                for stub in admins:
                    self._clients.ask(lambda s=stub: s.Resume(admin.ResumeRequest(), timeout=RPC_WITHIN_S))

    def kill_broker(self) -> None:
        self.kill("kafka")

    def restart_database(self, *, killed: bool) -> None:
        if "database" not in self.can:
            raise CannotError("database")
        if killed:
            self.kill("postgres")
            return
        with self._noted("restart", "postgres"):
            lives = {"postgres": self._site.lives("postgres")}
            self._site.restart("postgres")
            self._wait_until_back(lives)

    @contextmanager
    def without_replica(self, service: str) -> Generator[None]:
        *staying, leaving = self.replicas(service)
        if not staying:
            raise CannotError("replicas")
        group = next(each.consumer_group for each in participants(self.mode, (), DEADLINE_S) if each.name == service)

        def are(count: int) -> bool:
            return members_with_partitions(self._site.kafka, group) == count

        with self._noted("leave", leaving), self._down(leaving):
            eventually(f"the others have what {leaving} had", lambda: are(len(staying)), LEAVES_WITHIN_S)
            yield
        with self._noted("join", leaving):
            eventually(f"{leaving} has partitions again", lambda: are(len(staying) + 1), LEAVES_WITHIN_S)

    @contextmanager
    def every_event_twice(self) -> Generator[None]:
        with mirroring(self._site.kafka):
            yield

    def poison(self, kind: Kind, message_type: str, order_id: str) -> None:
        made = poison(kind, message_type, order_id, str(uuid4()), _now_us())
        partition, offset = put(self._site.kafka, made)
        buried = buried_by(kind, message_type, participants(self.mode, (), DEADLINE_S))
        self._poisoned.append(Poisoned(made.topic, partition, offset, buried))

    @contextmanager
    def _noted(self, kind: str, *targets: str) -> Generator[None]:
        from_us = _now_us()
        try:
            yield
        finally:
            self._faults += [FaultSpan(kind, target, from_us, _now_us()) for target in targets]

    @contextmanager
    def _down(self, *processes: str) -> Generator[None]:
        with ExitStack() as later:
            later.callback(self._wait_until_up, *processes)
            for process in processes:
                later.callback(self._site.start, process)
                self._site.stop(process)
            yield

    def _wait_until_back(self, lives: dict[str, int]) -> None:
        """Until each of these was started once more than so often, and is up."""
        for process, before in lives.items():
            eventually(
                f"{process} is back",
                lambda p=process, b=before: self._site.lives(p) > b and self._site.is_up(p),
                BACK_WITHIN_S,
            )

    def _wait_until_up(self, *processes: str) -> None:
        for process in processes:
            eventually(f"{process} is up", lambda p=process: self._site.is_up(p), BACK_WITHIN_S)

    def _disarm(self, service: str) -> None:
        request = admin.ClearFaultsRequest()
        for process in self.replicas(service):
            stub = self._clients.admin(process)
            self._clients.ask(lambda s=stub: s.ClearFaults(request, timeout=RPC_WITHIN_S, wait_for_ready=True))

    # Afterwards

    def tidy(self) -> None:
        """All blocks have ended, so what is left is dead letters: as many as were made, which are discarded."""
        ours = {(service, p.topic, p.partition, p.offset) for p in self._poisoned for service in p.services}
        for service in {service for service, *_ in ours}:
            stub = self._clients.admin(self.replicas(service)[0])
            is_open = admin.DeadLetterStatus.DEAD_LETTER_STATUS_OPEN
            request = admin.ListDeadLettersRequest(status=is_open, limit=LETTERS_MAX)
            for letter in stub.ListDeadLetters(request, timeout=RPC_WITHIN_S, wait_for_ready=True).dead_letters:
                if (service, letter.topic, letter.partition, letter.offset) in ours:
                    stub.DiscardDeadLetter(admin.DiscardDeadLetterRequest(id=letter.id), timeout=RPC_WITHIN_S)

    def logs(self) -> str:
        return self._site.logs()


def _now_us() -> int:
    return time.time_ns() // 1000
