"""Metrics that somebody has to be asked for: the broker, the database, the mailbox. Asked when Prometheus scrapes."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.engine.mailbox import Mailbox
from services.engine.observer import KafkaObserver, Position
from services.engine.retry import TransientError
from services.engine.store import Backlog, Store

ASK_WITHIN_S = 2.0
"""Of the broker; a database has the timeout of its store."""
KEEP_S = 5.0
"""So that scrapes, however many and frequent, ask at most once in this time."""

FAILED = Counter("sagaproof_scrape_failures", "Times that what a scrape asks for was not to be had.", ["what"])

log = logging.getLogger(__name__)
T = TypeVar("T")


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


class AtScrape(Collector):
    """Lag, outbox, dead letters, mailbox. A metric that cannot be had is left out, which is not the same as 0."""

    def __init__(
        self,
        group: str,
        observer: KafkaObserver,
        store: Store,
        mailbox: Mailbox,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._group = group
        self._mailbox = mailbox
        self._positions: _Kept[Sequence[Position]] = _Kept("positions", lambda: observer.positions(ASK_WITHIN_S))
        self._backlog: _Kept[Backlog] = _Kept("backlog", store.backlog)
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Without asking anybody: what it is called is known before the parts are started."""
        yield from self._families(None, None)

    def collect(self) -> Iterator[Metric]:
        yield from self._families(self._positions.get(), self._backlog.get())

    def _families(self, positions: Sequence[Position] | None, backlog: Backlog | None) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "sagaproof_consumer_lag_records",
            "Records that the group has not committed yet, by topic and partition.",
            labels=["topic", "partition", "group"],
        )
        for topic, partition, offset, end in positions or ():
            lag.add_metric([topic, str(partition), self._group], max(0, end - offset))
        yield lag
        rows = GaugeMetricFamily(
            "sagaproof_outbox_events", "Public events that are stored and not yet marked as published; at most 10000."
        )
        age = GaugeMetricFamily("sagaproof_outbox_oldest_seconds", "Age of the oldest of them in seconds; 0 if none.")
        letters = GaugeMetricFamily("sagaproof_dead_letters_open", "Dead letters that are open; at most 10000.")
        if backlog is not None:
            rows.add_metric([], backlog.unpublished)
            letters.add_metric([], backlog.dead_letters)
            oldest_us = backlog.oldest_us
            age.add_metric([], 0 if oldest_us is None else max(0.0, time.time() - oldest_us / 1_000_000))
        yield from (rows, age, letters)
        waiting = GaugeMetricFamily(
            "sagaproof_mailbox_waiting",
            "What waits for the loop in memory, by kind: records, commands.",
            labels=["kind"],
        )
        for kind, count in zip(("records", "commands"), self._mailbox.waiting, strict=True):
            waiting.add_metric([kind], count)
        yield waiting
        paused = GaugeMetricFamily("sagaproof_paused", "1 while an operator or a rebuild holds the mailbox, else 0.")
        paused.add_metric([], self._mailbox.held)
        yield paused
