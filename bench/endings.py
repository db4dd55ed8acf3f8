"""When each order ended, read from the topic `orders` afterwards, so that reading costs the run nothing.

An ending is an OrderCompleted or OrderCancelled. Its time is the record's timestamp: the producer sets it when the
order service hands the event over, after its transaction has committed. It is in whole milliseconds, cut off; one is
added, so that the error is never in our favour.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # pyright: ignore[reportPrivateImportUsage]
from shop.common.v1.common_pb2 import Reason
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted, OrderCreated

from bench.baskets import Basket
from sagaproof.errors import Unreachable
from services.saga import full_name
from services.topics import DOMAIN_TOPICS, TOPICS

ASK_S = 10.0
SILENT_MAX_S = 15.0
READ_MAX = 2_000
_CREATED, _COMPLETED, _CANCELLED = (
    full_name(event).encode() for event in (OrderCreated, OrderCompleted, OrderCancelled)
)


class Ending(NamedTuple):
    """How an order ended, when (seconds since 1970), and the id of the event."""

    completed: bool
    at: float
    event_id: bytes


class Ledger:
    """What the topic says of all orders: created, ended, and whether anything does not fit. It does no I/O.

    repeats: endings that came more than once under one id. A crash makes some, and consumers drop them.
    """

    def __init__(self) -> None:
        self.endings: dict[bytes, Ending] = {}
        self.reasons: Counter[str] = Counter()
        self.contradictions: list[str] = []
        self.repeats = 0
        self._created: dict[bytes, bytes] = {}

    @property
    def created(self) -> Set[bytes]:
        """The ids of all orders that were created."""
        return self._created.keys()

    def basket(self, order_id: bytes) -> Basket:
        """What a created order of one piece is of."""
        order = OrderCreated.FromString(self._created[order_id]).order
        return Basket(order.user_id, order.items[0].product_id)

    def take(self, order_id: bytes, headers: Mapping[str, bytes], value: bytes, at_ms: int) -> None:
        """One record of the topic."""
        kind = headers["ce_type"]
        if kind == _CREATED:
            self._created[order_id] = value
            return
        if kind not in (_COMPLETED, _CANCELLED):
            return
        ending = Ending(kind == _COMPLETED, (at_ms + 1) / 1000, headers["ce_id"])
        before = self.endings.setdefault(order_id, ending)
        if before is ending:
            if kind == _CANCELLED:
                reason = Reason.Name(OrderCancelled.FromString(value).reason)
                self.reasons[reason.removeprefix("REASON_")] += 1
        elif before.event_id == ending.event_id:
            self.repeats += 1
        else:
            ids = f"{before.event_id.decode()} and {ending.event_id.decode()}"
            self.contradictions.append(f"{order_id.decode()} ended twice, by {ids}")


class Endings:
    """Reads the topic into a ledger, from where it ends now. Each `read` goes on where the last one stopped."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.ledger = Ledger()
        self._bootstrap_servers = bootstrap_servers
        self._admin = self._new_admin()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "bench",  # librdkafka demands one; without subscribe and commit it is never used
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "log_level": 0,
            }
        )
        self._next = self.ends(["orders"])

    def _new_admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 0})

    def close(self) -> None:
        self._consumer.close()

    def ends(self, topics: Sequence[str] = DOMAIN_TOPICS) -> dict[tuple[str, int], int]:
        """The offset behind the last record of every partition, in one question. Raises Unreachable."""
        partitions = {topic.name: topic.partitions for topic in TOPICS}
        asked: Any = {
            TopicPartition(name, partition): OffsetSpec.latest()
            for name in topics
            for partition in range(partitions[name])
        }
        deadline = time.monotonic() + ASK_S
        while True:
            try:
                answers = cast("Any", self._admin).list_offsets(asked, request_timeout=ASK_S)
                return {(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}
            except KafkaException as error:
                if error.args[0].code() != KafkaError.FENCED_LEADER_EPOCH or time.monotonic() > deadline:
                    raise Unreachable(f"Kafka: {error.args[0].str()}") from error
                self._admin = self._new_admin()  # one that knew the broker before its restart never asks anew

    def read(self) -> None:
        """All that is there now. Raises Unreachable."""
        upto = self.ends(["orders"])
        behind = {place for place, end in upto.items() if self._next[place] < end}
        self._consumer.assign([TopicPartition(*place, self._next[place]) for place in sorted(behind)])
        heard_at = time.monotonic()
        while behind:
            for record in self._consumer.consume(READ_MAX, timeout=0.5):
                if error := record.error():
                    raise Unreachable(f"Kafka: {error.str()}")
                place = (cast("str", record.topic()), cast("int", record.partition()))
                offset = cast("int", record.offset())
                if not self._next[place] <= offset < upto[place]:
                    continue
                self._next[place] = offset + 1
                heard_at = time.monotonic()
                headers = dict(cast("Any", record.headers()))
                self.ledger.take(
                    cast("bytes", record.key()), headers, cast("bytes", record.value()), record.timestamp()[1]
                )
            behind = {place for place in behind if self._next[place] < upto[place]}
            if time.monotonic() - heard_at > SILENT_MAX_S:
                raise Unreachable(f"Kafka gave nothing of the topic orders for {SILENT_MAX_S:.0f} s")
        self._consumer.unassign()
