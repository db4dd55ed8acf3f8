"""The engine's Prometheus metrics, served at `/metrics`."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from services.engine.batch import Batch
from services.engine.messages import Message

_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_SECONDS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

HANDLED = Counter("sagaproof_messages_handled", "Messages decided, by their type", ["type"])
DUPLICATES = Counter("sagaproof_messages_duplicate", "Messages that the inbox dropped")
SKIPPED = Counter("sagaproof_messages_skipped", "Events of a type that this service does not know")
DEAD_LETTERS = Counter("sagaproof_dead_letters", "Messages that could not be decoded or decided")
PUBLISHED = Counter("sagaproof_events_published", "Events that the broker has acknowledged")
RETRIES = Counter("sagaproof_retries", "Times that the loop tried again after a fault that may pass")
BATCH_SIZE = Histogram("sagaproof_batch_messages", "Messages in one transaction", buckets=_BATCH_BUCKETS)
PHASE = Histogram("sagaproof_phase_seconds", "Time of one batch, by phase", ["phase"], buckets=_SECONDS_BUCKETS)
READY = Gauge("sagaproof_ready", "1 while database and broker answer")


@contextmanager
def phase(name: str) -> Generator[None]:
    """Times a phase of the loop that ends without an error."""
    started = time.perf_counter()
    yield
    PHASE.labels(name).observe(time.perf_counter() - started)


def observe_batch(batch: Batch, messages: Sequence[Message]) -> None:
    """Counts a batch that was committed."""
    BATCH_SIZE.observe(len(messages))
    for message in messages:
        HANDLED.labels(message.type).inc()
    DUPLICATES.inc(batch.duplicates)
    DEAD_LETTERS.inc(len(batch.changes.dead_letters))
