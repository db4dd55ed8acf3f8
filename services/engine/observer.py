"""What is asked of Kafka beside consuming and publishing, by a client of its own: neither of them waits for it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # pyright: ignore[reportPrivateImportUsage]

from services.engine.kafka import LIBRDKAFKA_LOG
from services.engine.retry import TransientError


class Position(NamedTuple):
    """`offset` is the next that the group will handle, `end` the one behind the last record."""

    topic: str
    partition: int
    offset: int
    end: int


class KafkaObserver:
    """Looks at the broker. May be used from any thread."""

    def __init__(self, kafka: Mapping[str, Any], group: str, topics: Sequence[str]) -> None:
        self._topics = topics
        patient = {**kafka, "reconnect.backoff.max.ms": 1000, "logger": LIBRDKAFKA_LOG}
        # Its types are not complete.
        self._admin: Any = AdminClient(patient)
        # Knows the group's offsets without being a member. The admin client can be asked for them too, but after the
        # broker was away it is never answered again, and may end the process (librdkafka 2.16.1).
        self._offsets = Consumer({**patient, "group.id": group, "enable.auto.commit": False})

    def ping(self, timeout_s: float) -> None:
        """Raises TransientError if the broker does not answer."""
        self._list_topics(timeout_s)

    def positions(self, timeout_s: float) -> list[Position]:
        """Where the group stands, by its committed offsets, which are a second old at most. Raises TransientError."""
        found = self._list_topics(timeout_s)
        partitions = [TopicPartition(t, p) for t in self._topics if t in found for p in found[t].partitions]
        try:
            committed = self._offsets.committed(partitions, timeout=timeout_s)
            ends = self._admin.list_offsets({p: OffsetSpec.latest() for p in partitions}, request_timeout=timeout_s)
            return sorted(Position(p.topic, p.partition, max(0, p.offset), ends[p].result().offset) for p in committed)
        except KafkaException as error:
            raise _away(error) from error

    def _list_topics(self, timeout_s: float) -> Any:
        try:
            return self._admin.list_topics(timeout=timeout_s).topics
        except KafkaException as error:
            raise _away(error) from error


def _away(error: KafkaException) -> TransientError:
    return TransientError(f"the broker does not answer: {error.args[0].str()}")
