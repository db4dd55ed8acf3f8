"""Reading topics from their beginning, beside the service's own consuming: for Rebuild.

The consumer is no member of any group: its partitions are assigned by hand, and it commits nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from services.engine.kafka import LIBRDKAFKA_LOG, POLL_MAX, record_of
from services.engine.messages import Record
from services.engine.retry import TransientError

POLL_S = 0.5
SILENT_MAX_S = 15.0
"""How long a broker that has more records may give none: longer than a restart of it takes."""

Place = tuple[str, int]
"""A topic and a partition."""


class RecordsGone(Exception):
    """A topic no longer has its first records."""


class Reader(Protocol):
    """Each `read` goes on where the last one ended; the first one begins at offset 0."""

    def behind(self, upto: Mapping[Place, int]) -> int:
        """How many records `read` would give."""
        ...

    def read(self, upto: Mapping[Place, int], check: Callable[[], None]) -> Iterator[list[Record]]:
        """All records before the offsets `upto`, not one more, in the order of each partition.

        Calls `check` every POLL_S at least, which may raise. Raises TransientError if the broker gives none for
        SILENT_MAX_S, and RecordsGone.
        """
        ...

    def close(self) -> None: ...


class TopicReader:
    """`Reader` on a broker. Used by one thread."""

    def __init__(self, kafka: Mapping[str, Any], name: str) -> None:
        self._next: dict[Place, int] = {}
        self._cause = "no error was told"
        self._consumer = Consumer(
            {
                **kafka,
                "client.id": name,
                "group.id": name,  # librdkafka demands one; without subscribe and commit it is never used
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",  # a record that is gone must not be skipped in silence
                "fetch.error.backoff.ms": 100,
                "queued.max.messages.kbytes": 16_384,
                "reconnect.backoff.max.ms": 1000,
                "error_cb": self._note_error,
                "logger": LIBRDKAFKA_LOG,
            }
        )

    def behind(self, upto: Mapping[Place, int]) -> int:
        return sum(max(0, end - self._next.get(place, 0)) for place, end in upto.items())

    def read(self, upto: Mapping[Place, int], check: Callable[[], None]) -> Iterator[list[Record]]:
        behind = {place for place, end in upto.items() if self._next.get(place, 0) < end}
        try:
            self._consumer.assign([TopicPartition(*place, self._next.get(place, 0)) for place in sorted(behind)])
            heard_at_s = time.monotonic()
            while behind:
                check()
                records = [record for record in self._poll() if self._is_wanted(record, upto)]
                if records:
                    heard_at_s = time.monotonic()
                    behind = {place for place in behind if self._next.get(place, 0) < upto[place]}
                    yield records
                elif time.monotonic() - heard_at_s > SILENT_MAX_S:
                    topic, partition = min(behind)
                    where = f"{topic}/{partition} behind offset {self._next.get((topic, partition), 0)}"
                    raise TransientError(f"the broker gave nothing of {where} for {SILENT_MAX_S} s: {self._cause}")
        except KafkaException as error:
            raise TransientError(f"the broker: {error.args[0].str()}") from error

    def close(self) -> None:
        self._consumer.close()

    def _poll(self) -> list[Record]:
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(POLL_MAX - 1, timeout=0)]
        return [record_of(message) for message in messages if self._is_record(message)]

    def _is_wanted(self, record: Record, upto: Mapping[Place, int]) -> bool:
        place = (record.topic, record.partition)
        if not self._next.get(place, 0) <= record.offset < upto.get(place, 0):
            return False
        self._next[place] = record.offset + 1
        return True

    def _is_record(self, message: KafkaMessage) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # pyright: ignore[reportPrivateUsage]
            raise RecordsGone(f"{message.topic()}/{message.partition()} no longer has its first records")
        self._note_error(error)
        return False

    def _note_error(self, error: KafkaError) -> None:
        self._cause = error.str()
