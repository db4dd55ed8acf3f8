"""One phase: load, then quiet, then what came of it and what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.request import urlopen

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from bench import processes
from bench.endings import Endings
from bench.goods import Goods
from bench.load import ORDER_ID_LENGTH, Result, Spec
from bench.results import Phase, Second, Spread
from bench.shop import Shop
from bench.watcher import WatchSpec
from sagaproof.errors import CommandError
from sagaproof.settings import HOST

LOOK_EVERY_S = 0.5
STILL_S = 3.5
"""Longer than one step of a delivery: when no topic has grown for so long, everything has come to rest."""
QUIET_WITHIN_S = 60.0
QUIET_WITHIN_S_AN_ORDER = 0.02
"""How long the rest may take: so much, and so much for each order."""
METRICS_S = 5.0

Kind = Literal["closed", "open", "alone"]


class Order(NamedTuple):
    """An accepted order: its id, its place in the sequence of baskets, its times in seconds since 1970 (0: unknown)."""

    order_id: bytes
    n: int
    due: float
    sent: float
    answered: float
    seen: float


class Load(NamedTuple):
    """What the processes that place orders are to do."""

    name: str
    kind: Kind
    module: str
    spec: Spec | WatchSpec
    beside: WatchSpec | None = None


class Loop(NamedTuple):
    """What a service's loop has done: transactions, the messages in them, and its seconds in each of its phases."""

    transactions: int
    messages: int
    seconds: dict[str, float]

    def since(self, before: Loop | None) -> Loop:
        """The difference; all of it where there is nothing before, or the process was restarted."""
        if before is None or before.transactions > self.transactions:
            return self
        seconds = {name: round(value - before.seconds.get(name, 0.0), 3) for name, value in self.seconds.items()}
        return Loop(self.transactions - before.transactions, self.messages - before.messages, seconds)


class Measuring:
    """Runs phases on one shop, and remembers the accepted orders of all of them. `tell` hears how it goes."""

    def __init__(self, shop: Shop, goods: Goods, endings: Endings, tell: Callable[[str], None]) -> None:
        self._shop = shop
        self._goods = goods
        self._endings = endings
        self._tell = tell
        self.orders: list[Order] = []
        self.wrong: list[str] = []

    def phase(self, load: Load) -> Phase:
        """Raises CommandError if the shop or the generator fails."""
        shop, load_before = self._shop, os.getloadavg()[0]
        ends_before, loops_before = self._endings.ends(), self._loops()
        disk_before, topics_before = self._disk()
        cpu_before = processes.cpu_s(shop.state)
        began = time.monotonic()
        results = self._run(load)
        load_took_s = time.monotonic() - began
        cpu_at_end = processes.cpu_s(shop.state)
        memory = processes.memory(shop.state)
        sent = sum(len(result.due) // 8 for result in results)
        cpu_at_rest, rest_s = self._rest(load.name, sum(ends_before.values()), sent)
        self._endings.read()
        disk_after, topics_after = self._disk()
        loops = {name: after.since(loops_before.get(name)) for name, after in self._loops().items()}
        orders = [order for result in results for order in accepted(result)]
        self.orders += orders
        found = self._endings.ledger.endings
        ended = [(order, found[order.order_id]) for order in orders if order.order_id in found]
        done = [(order, ending.at) for order, ending in ended if ending.completed]
        used = processes.difference(cpu_before, cpu_at_rest)
        started, stopped = min(r.started for r in results), max(r.ended for r in results)
        last_end = max((at for _, at in done), default=stopped)
        errors = defaultdict[str, int](int)
        for result in results:
            for error, count in result.errors.items():
                errors[error] += count
        return Phase(
            name=load.name,
            kind=load.kind,
            connections=load.spec.connections if isinstance(load.spec, Spec) else 1,
            rate=load.spec.rate if isinstance(load.spec, Spec) else 0.0,
            load_s=round(stopped - started, 3),
            quiet_s=round(rest_s, 3),
            sent=sent,
            accepted=len(orders),
            completed=len(done),
            cancelled=len(ended) - len(done),
            lost=len(orders) - len(ended),
            errors=dict(errors),
            accepted_per_s=round(len(orders) / (stopped - started), 1),
            completed_per_s=round(len(done) / max(last_end - started, 1e-9), 1),
            terminal=Spread.of([at - order.due for order, at in done]),
            answer=Spread.of([order.answered - order.sent for order in orders]),
            watched=Spread.of([order.seen - order.sent for order in orders if order.seen]),
            cpu_s={name: round(value, 3) for name, value in used.items()},
            cpu_ms_per_order=round(1000 * sum(used.values()) / len(done), 3) if done else 0.0,
            busy_cores=round(sum(processes.difference(cpu_before, cpu_at_end).values()) / load_took_s, 3),
            generator_cpu_s=round(sum(result.cpu_s for result in results), 3),
            memory=memory,
            batches={name: (loop.transactions, loop.messages) for name, loop in loops.items()},
            loop_s={name: loop.seconds for name, loop in loops.items()},
            disk_bytes=disk_after - disk_before,
            topic_bytes=topics_after - topics_before,
            load_before=round(load_before, 2),
            series=list(_series(started, stopped, orders, done)),
        )

    def _run(self, load: Load) -> list[Result]:
        beside = self._start("bench.watcher", load.beside) if load.beside else None
        main = self._start(load.module, load.spec)
        try:
            assert main.stdout is not None
            for line in main.stdout:
                sent, taken = line.split()
                self._tell(f"{load.name}: {int(sent):,} orders sent, {int(taken):,} accepted")
            for process in (main, beside):
                if process and process.wait():
                    raise CommandError(f"the load generator failed with exit code {process.returncode}")
        finally:
            for process in (main, beside):
                if process and process.poll() is None:
                    process.kill()
        specs = [load.spec, load.beside] if load.beside else [load.spec]
        return [msgspec.msgpack.decode(Path(spec.out).read_bytes(), type=Result) for spec in specs]

    @staticmethod
    def _start(module: str, spec: Spec | WatchSpec) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(spec))
        process.stdin.close()
        return process

    def _rest(self, name: str, records_before: int, sent: int) -> tuple[dict[str, float], float]:
        """Waits until nothing moves; the CPU seconds when the last movement was seen, and how long that took."""
        began = moved_at = time.monotonic()
        cpu_s, records = processes.cpu_s(self._shop.state), 0
        patience_s = QUIET_WITHIN_S + sent * QUIET_WITHIN_S_AN_ORDER
        while True:
            now, seen, lag = time.monotonic(), sum(self._endings.ends().values()), self._goods.lag()
            if seen != records or lag != 0:
                records, moved_at, cpu_s = seen, now, processes.cpu_s(self._shop.state)
            elif now - moved_at > STILL_S:
                return cpu_s, moved_at - began
            if now - began > patience_s:
                self.wrong.append(f"{name}: not at rest after {patience_s:.0f} s, {_count(lag)} messages not handled")
                return cpu_s, now - began
            self._tell(
                f"{name}: coming to rest: {seen - records_before:,} records of {sent:,} orders, lag {_count(lag)}"
            )
            time.sleep(LOOK_EVERY_S)

    def _disk(self) -> tuple[int, int]:
        """Bytes of the databases, and of the topics."""
        data = self._shop.home / "data"
        topics = processes.bytes_of(data / "kafka" / "log", "*.log")
        return processes.bytes_of(data, "*.db") + processes.bytes_of(data / "postgres", "base/*/*"), topics

    def _loops(self) -> dict[str, Loop]:
        """What every service says of its loop."""
        found = dict[str, Loop]()
        for name, process in self._shop.state.processes.items():
            if process.grpc:
                with urlopen(f"http://{HOST}:{process.http}/metrics", timeout=METRICS_S) as answer:
                    found[name] = loop_of(answer.read().decode())
        return found


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else f"{number:,}"


def loop_of(metrics: str) -> Loop:
    """From a service's /metrics."""
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    totals = {
        sample.name: int(sample.value) for sample in samples if sample.name.startswith("sagaproof_batch_messages_")
    }
    seconds = {s.labels["phase"]: s.value for s in samples if s.name == "sagaproof_loop_phase_seconds_sum"}
    return Loop(totals["sagaproof_batch_messages_count"], totals["sagaproof_batch_messages_sum"], seconds)


def accepted(result: Result) -> Iterator[Order]:
    """The orders of a result that were accepted."""
    columns = [_doubles(column) for column in (result.due, result.sent, result.answered)]
    seen = _doubles(result.seen) if result.seen else array("d", bytes(len(result.due)))
    for n, (due, sent, answered, seen_at) in enumerate(zip(*columns, seen, strict=True)):
        order_id = result.ids[n * ORDER_ID_LENGTH : (n + 1) * ORDER_ID_LENGTH]
        if not order_id.isspace():
            yield Order(order_id, result.first + n, due, sent, answered, seen_at)


def _doubles(column: bytes) -> array[float]:
    return array("d", column)


def _series(started: float, stopped: float, orders: list[Order], done: list[tuple[Order, float]]) -> Iterator[Second]:
    accepted_in, latencies = defaultdict[int, int](int), defaultdict[int, list[float]](list)
    for order in orders:
        accepted_in[int(order.answered - started)] += 1
    for order, at in done:
        latencies[int(at - started)].append(at - order.due)
    last = max(int(stopped - started), *latencies, 0) if latencies else int(stopped - started)
    for second in range(last + 1):
        spread = Spread.of(latencies[second])
        yield Second(
            accepted=accepted_in[second],
            completed=len(latencies[second]),
            p50_ms=spread and spread.p50_ms,
            p99_ms=spread and spread.p99_ms,
        )
