"""The simulation as a substrate: the shop stands still until a scenario waits for something.

The seed makes every choice that a scenario leaves open, so the same scenario with the same seed gives the same history.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import count

from e2e.history import FaultSpan, History, Poisoned
from e2e.simulated import scenario as plan
from e2e.simulated.customers import Request, reason_of, status_of
from e2e.simulated.run import Run
from e2e.simulated.taking import take
from e2e.substrates.poison import Kind, buried_by, poison
from e2e.substrates.substrate import CannotError, Capability, Ending, Order
from services.engine import faults as engine_faults
from services.engine.batch import decode_state
from services.engine.faults import Point
from services.engine.participant import key
from services.saga import COMMANDS, PUBLIC, Mode
from services.status.documents import document
from services.status.fold import StatusState

STEPS_MAX = 200_000
"""That are waited for one thing."""
CUSTOMERS = 4
"""Who order at the same time."""
THINKS_US = (10_000, 3_000_000)
HURRIES_US = (1_000, 100_000)
"""How long each of them waits before the next order."""
SAID_ON = frozenset([*PUBLIC.values(), *COMMANDS.values()])
"""The topics of events and commands."""


class Simulated:
    """A shop of its own for each scenario."""

    name: str = "simulated"
    can: frozenset[Capability] = frozenset({"kill", "crash-points", "stop", "pause", "twice", "poison"})
    recovers_within_s: float | None = None
    far_behind = 300

    def __init__(self, mode: Mode, seed: int) -> None:
        self.mode: Mode = mode
        self._scenario = plan.Scenario(mode=mode)
        self._choose = random.Random(seed)
        self._run = Run(self._scenario, self._choose)
        self.services = self.processes = list(self._run.services)
        self._numbers = count()
        self._mirror: _Mirror | None = None

    def replicas(self, service: str) -> list[str]:
        return [service]

    # Customers and operators

    def place(self, order: Order) -> str:
        accepted: list[str] = []
        self._ask_for(order, accepted.append)
        self._until("the order is accepted", lambda: bool(accepted))
        return accepted[0]

    def cancel(self, order_id: str) -> None:
        self._ask(self._run.customers.cancel(order_id))

    def restock(self, product: str, pieces: int) -> None:
        request_id = f"restock-{next(self._numbers)}"
        self._ask(self._run.customers.restock(request_id, plan.Restock(product, pieces)))

    def deposit(self, user: str, amount_minor: int) -> None:
        request_id = f"deposit-{next(self._numbers)}"
        self._ask(self._run.customers.deposit(request_id, plan.Deposit(user, amount_minor)))

    @contextmanager
    def load(self, draw: Callable[[], Order], *, hurried: bool = False) -> Generator[_Load]:
        load = _Load(
            lambda then: self._ask_for(draw(), then), HURRIES_US if hurried else THINKS_US, self._later, self._until
        )
        yield load
        load.goes_on = False
        self._until("the last orders are accepted", lambda: load.waiting == 0)

    def _later(self, between_us: tuple[int, int], do: Callable[[], None]) -> None:
        self._run.at_us(self._run.clock.now_us + self._choose.randint(*between_us), do)

    def _ask_for(self, order: Order, then: Callable[[str], None]) -> None:
        number = next(self._numbers)
        ms = f"{self._run.clock.now_us // 1000:012x}"
        order_id = f"{ms[:8]}-{ms[8:]}-7000-8000-{number:012x}"
        wanted = plan.Order(order.user or f"user-{number}", order.items, watched=order.watched)

        def accepted() -> None:
            self._run.look_again(order_id)
            then(order_id)

        self._run.ask(self._run.customers.place(order_id, wanted, accepted))

    def _ask(self, request: Request) -> None:
        self._run.ask(request)
        self._until("it is answered", lambda: request.answered)

    # What is seen

    def reaches(self, order_id: str, status: str) -> None:
        self._until(f"{order_id} is {status}", lambda: self._seen(order_id).status == status)

    def ending(self, order_id: str) -> Ending:
        self._until(f"{order_id} ends", lambda: self._seen(order_id).status in ("COMPLETED", "CANCELLED"))
        return self._seen(order_id)

    def _seen(self, order_id: str) -> Ending:
        row = self._run.services["status"].store.entity(key(StatusState, order_id))
        if row is None:
            return Ending("")
        shown = document(decode_state(StatusState, row.state))
        return Ending(status_of(shown.status), reason_of(shown.reason))

    def lag(self, service: str) -> int:
        return self._run.services[service].group.lag

    def passes(self, seconds: float) -> None:
        until_us = self._run.clock.now_us + round(seconds * 1_000_000)
        self._run.at_us(until_us, lambda: None)
        self._until(f"{seconds} s have passed", lambda: self._run.clock.now_us >= until_us)

    def history(self) -> History:
        self._rest()
        run = self._run
        return take(self._scenario, run.services, run.broker, run.customers, run.faults, run.poisoned, run.clock.now_us)

    # Faults

    def kill(self, *processes: str) -> None:
        struck = [self._run.services[name] for name in processes]
        for service in struck:
            self._run.kill(service)
        self._until("all are back", lambda: all(service.is_up for service in struck))

    @contextmanager
    def killed_at(self, service: str, point: Point, message_type: str) -> Generator[None]:
        struck, before = self._run.services[service], self._kills(service)
        struck.faults.arm(engine_faults.Fault(point, "kill", message_type))
        yield
        self._until(f"{service} dies {point} of {message_type}", lambda: self._kills(service) > before)
        self._until(f"{service} is back", lambda: struck.is_up)

    def _kills(self, service: str) -> int:
        return sum(fault.kind == "kill" and fault.target == service for fault in self._run.faults)

    @contextmanager
    def stopped(self, service: str) -> Generator[None]:
        down = self._run.services[service]
        self._until(f"{service} is up", lambda: down.is_up)
        down.tell()
        with self._noted("stop", service):
            self._run.go_down(down)
            yield
            self._run.start(down)

    @contextmanager
    def paused(self, service: str) -> Generator[None]:
        with self._noted("pause", service):
            self._run.services[service].pause(True)
            yield
            self._run.services[service].pause(False)

    def kill_broker(self) -> None:
        raise CannotError("broker")

    def restart_database(self, *, killed: bool) -> None:
        raise CannotError(f"database, killed: {killed}")

    def without_replica(self, service: str) -> AbstractContextManager[None]:
        raise CannotError(f"replicas, of {service}")

    @contextmanager
    def every_event_twice(self) -> Generator[None]:
        self._mirror = _Mirror(self._run)
        yield
        self._mirror = None

    def poison(self, kind: Kind, message_type: str, order_id: str) -> None:
        run, number = self._run, next(self._numbers)
        made = poison(kind, message_type, order_id, f"poison-{number}", run.clock.now_us)
        record = run.broker.append(made.topic, made.key, made.headers, made.value or b"")
        buried = buried_by(kind, message_type, (service.participant for service in run.services.values()))
        run.poisoned.append(Poisoned(record.topic, record.partition, record.offset, buried))

    @contextmanager
    def _noted(self, kind: str, target: str) -> Generator[None]:
        from_us = self._run.clock.now_us
        yield
        self._run.faults.append(FaultSpan(kind, target, from_us, self._run.clock.now_us))

    # Afterwards

    def tidy(self) -> None:
        """The next scenario has a shop of its own."""

    def logs(self) -> str:
        return ""

    # Time

    def _step(self) -> bool:
        went_on = self._run.step()
        return bool(self._mirror and self._mirror.copy()) or went_on

    def _rest(self) -> None:
        for _ in range(STEPS_MAX):
            if not self._step():
                return
        raise AssertionError(f"still something to do after {STEPS_MAX} steps")

    def _until(self, what: str, happens: Callable[[], bool]) -> None:
        for _ in range(STEPS_MAX):
            if happens():
                return
            if not self._step() and not happens():
                raise AssertionError(f"nothing is left to do, and never: {what}")
        raise AssertionError(f"not within {STEPS_MAX} steps: {what}")


class _Load:
    """So many customers, each of whom orders again some time after the last order was accepted."""

    def __init__(
        self,
        order: Callable[[Callable[[str], None]], None],
        thinks_us: tuple[int, int],
        later: Callable[[tuple[int, int], Callable[[], None]], None],
        until: Callable[[str, Callable[[], bool]], None],
    ) -> None:
        self._order, self._thinks_us, self._later, self._until = order, thinks_us, later, until
        self._accepted = 0
        self.goes_on = True
        self.waiting = CUSTOMERS
        for _ in range(CUSTOMERS):
            self._order(self._then)

    def _then(self, _: str) -> None:
        self._accepted += 1
        self._later(self._thinks_us, self._again)

    def _again(self) -> None:
        if self.goes_on:
            self._order(self._then)
        else:
            self.waiting -= 1

    def wait_for(self, count: int) -> None:
        target = self._accepted + count
        self._until(f"{count} more orders are accepted", lambda: self._accepted >= target)


class _Mirror:
    """Puts every record that was not there before on its topic once more."""

    def __init__(self, run: Run) -> None:
        self._broker = run.broker
        self._read: Mapping[tuple[str, int], int]
        self._read = {place: len(log) for place, log in run.broker.logs.items() if place[0] in SAID_ON}
        self._ours: set[tuple[str, int, int]] = set()

    def copy(self) -> bool:
        """Whether there was anything new."""
        found = False
        for place, read in self._read.items():
            log = self._broker.logs[place]
            new = [record for record in log[read:] if (*place, record.offset) not in self._ours]
            for record in new:
                again = self._broker.append(record.topic, record.key, dict(record.headers), record.value)
                self._ours.add((again.topic, again.partition, again.offset))
            self._read = {**self._read, place: len(log)}
            found = found or bool(new)
        return found
