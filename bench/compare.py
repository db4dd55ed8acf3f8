"""`make compare`: both modes under the same load and the same faults, each on a shop of its own, one after the other.

First a closed loop, in which nothing is broken: throughput, messages, bytes and CPU per order. Then an open loop in
which one process after the other is killed: latency, and how long it takes until all is as before. An order is open
from when it was due until the order service has told its ending. A shop has **recovered** from a kill as soon as no
more orders are open than there were at most in the `BEFORE_S` seconds before it; if never more were, at once.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from bench import machine
from bench.baskets import DIFFERENT, draw
from bench.check import counted
from bench.endings import Endings
from bench.goods import Goods
from bench.load import Spec
from bench.machine import Machine
from bench.measuring import Load, Measuring
from bench.results import Check, Phase
from bench.shop import Shop, started
from sagaproof.errors import CommandError, Unreachable
from services.topics import TOPICS

MODES = ("choreographed", "orchestrated")
KILLED = ("kafka", "inventory", "payment", "order")
KILLED_LAST = "orchestrator"
"""In the mode that has it."""
BEFORE_S = 3.0
BACK_WITHIN_S = 60.0
LOOK_EVERY_S = 0.02
USERS = 500
PIECES_SPARE = 100_000
FASTEST_PER_S = 3_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What each mode has to go through. `gap_s`: between two kills, and before the first."""

    warm_up: int = 1_000
    seconds: float = 20.0
    connections: int = 16
    rate: float = 40.0
    gap_s: float = 15.0


class Fault(msgspec.Struct):
    """A kill. `at`: seconds since 1970; `ready_s`: until the process was ready again."""

    target: str
    at: float
    ready_s: float = 0.0
    recovered_s: float | None = None


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One mode. `records`: on all topics, of the undisturbed orders."""

    mode: str
    undisturbed: Phase
    disturbed: Phase
    records: int
    faults: list[Fault]
    check: Check


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    at: float
    machine: Machine
    plan: Plan
    sides: list[Side]


def compare(plan: Plan, state_home: Path, tell: Callable[[str], None]) -> Compared:
    """Raises CommandError when a shop does not start, or ends."""
    facts, began = machine.facts(), time.time()
    sides = [_side(plan, mode, state_home, lambda line, mode=mode: tell(f"{mode}: {line}")) for mode in MODES]
    return Compared(at=began, machine=facts, plan=plan, sides=sides)


def _side(plan: Plan, mode: str, state_home: Path, tell: Callable[[str], None]) -> Side:
    (state_home / "bench").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=state_home / "bench", prefix="compare-"))
    tell("starting a shop")
    try:
        with started(folder / "home", state_home / "kafka", 1, [], {"SAGA_MODE": mode}) as (shop, _):
            return _measure(plan, mode, shop, folder, tell)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(plan: Plan, mode: str, shop: Shop, folder: Path, tell: Callable[[str], None]) -> Side:
    targets = [*KILLED, *([KILLED_LAST] if KILLED_LAST in shop.state.processes else [])]
    disturbed_s = plan.gap_s * (len(targets) + 1)
    with Goods(shop.places) as goods, closing(Endings(shop.state.kafka)) as endings:
        products = list(goods.products())
        most = int(FASTEST_PER_S * plan.seconds + plan.rate * disturbed_s) + plan.warm_up
        goods.fill(products, most // len(products) + PIECES_SPARE, USERS)
        before = goods.count(USERS)
        measuring = Measuring(shop, goods, endings, tell)
        address = urlsplit(shop.url)

        def load(number: int, name: str, *, rate: float = 0.0, seconds: float = 0.0, orders: int = 0) -> Load:
            spec = Spec(
                address.hostname or "",
                address.port or 80,
                str(folder / f"{number}.load"),
                plan.connections,
                USERS,
                products,
                rate,
                seconds,
                orders,
                number * (DIFFERENT // 3),
            )
            return Load(name, "open" if rate else "closed", "bench.load", spec)

        measuring.phase(load(0, "warm-up", orders=plan.warm_up))
        records_before = _records(endings)
        undisturbed = measuring.phase(load(1, "undisturbed", seconds=plan.seconds))
        records = _records(endings) - records_before
        ordered_before = len(measuring.orders)
        killer = Killer(shop, targets, plan.gap_s, tell)
        with killer:
            disturbed = measuring.phase(load(2, "with faults", rate=plan.rate, seconds=disturbed_s))
        found = endings.ledger.endings
        orders = [
            (order.due, found[order.order_id].at)
            for order in measuring.orders[ordered_before:]
            if order.order_id in found
        ]
        _recoveries(killer.faults, orders)
        check = counted(measuring.orders, endings.ledger, before, goods.count(USERS), draw(USERS, products))
        check.wrong += measuring.wrong
        check.wrong += [f"{service} has {count} dead letters" for service, count in goods.dead_letters().items()]
    return Side(
        mode=mode, undisturbed=undisturbed, disturbed=disturbed, records=records, faults=killer.faults, check=check
    )


def _records(endings: Endings) -> int:
    """On all topics."""
    return sum(endings.ends([topic.name for topic in TOPICS]).values())


class Killer:
    """Kills one process after the other beside the load, `gap_s` apart; each is back before the next one dies."""

    def __init__(self, shop: Shop, targets: Sequence[str], gap_s: float, tell: Callable[[str], None]) -> None:
        self._shop = shop
        self._targets = targets
        self._gap_s = gap_s
        self._tell = tell
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.faults: list[Fault] = []

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Waits for the last kill; raises what stopped them, unless the block has failed anyway."""
        if error is not None:
            self._stop.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            begun = time.monotonic()
            for n, target in enumerate(self._targets, 1):
                if self._stop.wait(max(0.0, begun + n * self._gap_s - time.monotonic())):
                    return
                self._tell(f"kill of {target}")
                self.faults.append(self._kill(target))
        except BaseException as error:  # noqa: BLE001 raised where the thread is waited for
            self._failure = error

    def _kill(self, target: str) -> Fault:
        recorded = self._shop.state.processes[target]
        process = recorded.find()
        if process is None:
            raise Unreachable(f"{target} is gone before it was killed")
        fault, begun = Fault(target, time.time()), time.monotonic()
        process.kill()
        while True:
            now = self._shop.state.processes[target]
            if now.ready and now.restarts > recorded.restarts:
                fault.ready_s = round(time.monotonic() - begun, 2)
                return fault
            if time.monotonic() - begun > BACK_WITHIN_S:
                raise CommandError(f"{target} is not back {BACK_WITHIN_S:.0f} s after it was killed")
            time.sleep(LOOK_EVERY_S)  # between two looks at a condition


class Step(NamedTuple):
    """How many orders are open from this moment on."""

    at: float
    orders: int


def _recoveries(faults: Sequence[Fault], orders: Iterable[tuple[float, float]]) -> None:
    """Fills in `recovered_s`: None where it had not come to that before the next kill, or the end."""
    steps = open_orders(orders)
    ends = [*(fault.at for fault in faults[1:]), steps[-1].at if steps else 0.0]
    for fault, until in zip(faults, ends, strict=False):
        fault.recovered_s = recovered_after(steps, fault.at, until)


def open_orders(orders: Iterable[tuple[float, float]]) -> list[Step]:
    """How many are open over time; an order is (due, ended)."""
    changes = sorted([(due, 1) for due, _ in orders] + [(ended, -1) for _, ended in orders])
    steps, count = list[Step](), 0
    for at, change in changes:
        count += change
        steps.append(Step(at, count))
    return steps


def recovered_after(steps: Sequence[Step], at: float, until: float) -> float | None:
    """Seconds from a fault until no more orders are open than in the `BEFORE_S` before; None if not before `until`."""
    usual = max((step.orders for step in steps if at - BEFORE_S <= step.at < at), default=0)
    worse = False
    for step in steps:
        if not at <= step.at < until:
            continue
        if step.orders > usual:
            worse = True
        elif worse:
            return round(step.at - at, 2)
    return None if worse else 0.0
