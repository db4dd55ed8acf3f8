"""Records that the harness puts on topics by itself: poison, and every event a second time."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from e2e.substrates.poison import Poison
from services.topics import COMMAND_TOPICS, DOMAIN_TOPICS

POLL_S = 0.3
ANSWERS_WITHIN_S = 15.0
READ_MAX = 500


def put(bootstrap_servers: str, poison: Poison) -> tuple[int, int]:
    """The partition and the offset at which it stands now. Raises KafkaException."""
    stands: list[tuple[Any, Any]] = []

    def delivered(error: Any, message: Any) -> None:
        stands.append((error, message))

    producer = Producer({"bootstrap.servers": bootstrap_servers})
    headers: dict[str, str | bytes | None] = {**poison.headers}
    producer.produce(poison.topic, poison.value, poison.key, headers=headers, on_delivery=delivered)
    if producer.flush(ANSWERS_WITHIN_S):
        raise TimeoutError("the broker does not take the record")
    error, message = stands[0]
    if error is not None:
        raise KafkaException(error)
    return message.partition(), message.offset()


@contextmanager
def mirroring(bootstrap_servers: str) -> Generator[None]:
    """Whatever comes on a topic of events or commands inside the block is put there again; all of it, when it ends.

    Raises KafkaException.
    """
    mirror = _Mirror(bootstrap_servers)
    try:
        yield
    finally:
        mirror.stop()


class _Mirror:
    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers})
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": "mirror", "enable.auto.commit": False}
        )
        topics = self._consumer.list_topics(timeout=ANSWERS_WITHIN_S).topics
        places = [(name, n) for name in (*DOMAIN_TOPICS, *COMMAND_TOPICS) for n in topics[name].partitions]
        ends = [
            self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=ANSWERS_WITHIN_S)[1]
            for place in places
        ]
        self._consumer.assign([TopicPartition(*place, end) for place, end in zip(places, ends, strict=True)])
        self._copied: set[tuple[str, str | bytes]] = set()
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="mirror")
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while True:
                was_stopping = self._stopping.is_set()
                found = self._copy()
                if was_stopping and not found:
                    return
        except Exception as error:  # noqa: BLE001 raised again where it ends
            self._failure = error

    def _copy(self) -> bool:
        """Whether there was anything new."""
        found = False
        for message in self._consumer.consume(READ_MAX, timeout=POLL_S):
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            topic, headers = message.topic() or "", message.headers() or []
            which = topic, dict(headers).get("ce_id") or b""
            if which not in self._copied:
                self._copied.add(which)
                self._producer.produce(topic, message.value(), message.key(), headers=headers)
                found = True
        if self._producer.flush(ANSWERS_WITHIN_S):
            raise TimeoutError("the broker does not take the copies")
        return found
