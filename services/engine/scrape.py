"""Metrics that somebody has to be asked for: the broker, the database, the mailbox. Asked when Prometheus scrapes."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.engine.batch import decode_state
from services.engine.mailbox import Mailbox
from services.engine.observer import KafkaObserver, Position
from services.engine.participant import State
from services.engine.retry import TransientError
from services.engine.store import BACKLOG_MAX, Backlog, Store

ASK_WITHIN_S = 2.0
"""Of the broker; a database has the timeout of its store."""
KEEP_S = 5.0
"""So that scrapes, however many and frequent, ask at most once in this time."""

LAG = "sagaproof_consumer_lag_records"
OUTBOX = "sagaproof_outbox_events"
OLDEST = "sagaproof_outbox_oldest_seconds"
LETTERS = "sagaproof_dead_letters_open"
WAITING = "sagaproof_mailbox_waiting"
PAUSED = "sagaproof_paused"

FAILED = Counter("sagaproof_scrape_failures", "Times that what a scrape asks for was not to be had.", ["what"])

log = logging.getLogger(__name__)
T = TypeVar("T")
Sample = tuple[Sequence[str], float]
"""The values of the labels, and the measured one."""


class _Kept(Generic[T]):
    """An answer for `KEEP_S`; None where there was none. Of scrapes at the same time, one asks."""

    def __init__(self, what: str, ask: Callable[[], T]) -> None:
        self._what = what
        self._ask = ask
        self._turn = threading.Lock()
        self._asked_at_s = float("-inf")
        self._answer: T | None = None

    def get(self) -> T | None:
        with self._turn:
            if time.monotonic() - self._asked_at_s >= KEEP_S:
                try:
                    self._answer = self._ask()
                except TransientError as error:
                    self._answer = None
                    FAILED.labels(self._what).inc()
                    log.debug("not measured", extra={"what": self._what, "cause": str(error)})
                self._asked_at_s = time.monotonic()
            return self._answer


class StateGauge(NamedTuple):
    """A gauge that is made of all entities of a kind, which must be few."""

    name: str
    documentation: str
    kind: type[State]
    value: Callable[[Iterable[Any]], float]

    def of(self, store: Store) -> float:
        rows = store.entities(f"{self.kind.kind}/").values()
        return self.value([decode_state(self.kind, row.state) for row in rows])


class AtScrape(Collector):
    """Lag, outbox, dead letters, mailbox. A metric that cannot be had is left out, which is not the same as 0."""

    def __init__(
        self,
        group: str,
        observer: KafkaObserver,
        store: Store,
        mailbox: Mailbox,
        gauges: Sequence[StateGauge] = (),
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._group = group
        self._mailbox = mailbox
        self._positions: _Kept[Sequence[Position]] = _Kept("positions", lambda: observer.positions(ASK_WITHIN_S))
        self._backlog: _Kept[Backlog] = _Kept("backlog", store.backlog)
        self._sources: Mapping[str, Callable[[], Iterable[Sample]]] = {
            LAG: self._lag,
            OUTBOX: self._outbox,
            OLDEST: self._oldest,
            LETTERS: self._dead_letters,
            WAITING: self._waiting,
            PAUSED: lambda: [([], mailbox.held)],
        }
        self._gauges = {gauge: _Kept(gauge.name, partial(gauge.of, store)) for gauge in gauges}
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Without asking anybody."""
        yield from families()
        for gauge in self._gauges:
            yield GaugeMetricFamily(gauge.name, gauge.documentation)

    def collect(self) -> Iterator[Metric]:
        for family in families():
            for labels, value in self._sources[family.name]():
                family.add_metric(labels, value)
            yield family
        for gauge, kept in self._gauges.items():
            value = kept.get()
            if value is not None:
                yield GaugeMetricFamily(gauge.name, gauge.documentation, value)

    def _lag(self) -> Iterator[Sample]:
        for topic, partition, offset, end in self._positions.get() or ():
            yield [topic, str(partition), self._group], max(0, end - offset)

    def _outbox(self) -> Iterator[Sample]:
        backlog = self._backlog.get()
        if backlog is not None:
            yield [], backlog.unpublished

    def _oldest(self) -> Iterator[Sample]:
        backlog = self._backlog.get()
        if backlog is not None:
            oldest_us = backlog.oldest_us
            yield [], 0 if oldest_us is None else max(0.0, time.time() - oldest_us / 1_000_000)

    def _dead_letters(self) -> Iterator[Sample]:
        backlog = self._backlog.get()
        if backlog is not None:
            yield [], backlog.dead_letters

    def _waiting(self) -> Iterator[Sample]:
        records, commands = self._mailbox.waiting
        yield from ((["records"], records), (["commands"], commands))


def families() -> Iterator[GaugeMetricFamily]:
    """What is measured at a scrape, without values."""
    yield GaugeMetricFamily(
        LAG,
        "Records that the group has not committed yet, by topic and partition.",
        labels=["topic", "partition", "group"],
    )
    yield GaugeMetricFamily(OUTBOX, f"Public events that are stored and not yet marked; at most {BACKLOG_MAX}.")
    yield GaugeMetricFamily(OLDEST, "Age of the oldest event that is not yet marked, in seconds; 0 if there is none.")
    yield GaugeMetricFamily(LETTERS, f"Dead letters that are open; at most {BACKLOG_MAX}.")
    yield GaugeMetricFamily(WAITING, "What waits for the loop in memory, by kind: records, commands.", labels=["kind"])
    yield GaugeMetricFamily(PAUSED, "1 while an operator or a rebuild holds the mailbox, else 0.")
