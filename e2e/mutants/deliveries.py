"""Two events of an order are published to a broker that stands still, and again when it goes on; prints as JSON whether
the topic has them in their order.

Is run inside a mutant's copy; where the broker is, and its process, are in the environment. The first event waits too
long and is given up; at that moment the second one is handed to the producer. It must not go out before the first.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import cast
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer
from shop.common.v1.common_pb2 import Order
from shop.order.v1.events_pb2 import OrderCancellationRequested, OrderCreated

from e2e.checks import check
from e2e.history import History
from e2e.mutants.histories import Finding
from e2e.simulated.taking import published_as, stored_by
from services.engine import kafka
from services.engine.kafka import KafkaPublisher, record_of
from services.engine.memory import MemoryStore
from services.engine.messages import Record, type_name
from services.engine.store import Changes, NewEvent
from services.saga import Mode
from services.topics import PARTITIONS

BROKER, PID = "MUTANTS_KAFKA", "MUTANTS_KAFKA_PID"
GIVEN_UP_AFTER_MS = 5000
PUBLISHED_WITHIN_S = 30.0
SILENT_S = 3.0


def look(mode: Mode, bootstrap_servers: str, pid: int) -> Finding:
    store, order_id = MemoryStore(), str(uuid4())
    with store.transaction() as transaction:
        transaction.write(Changes(1, events=_events(order_id)))
    kafka.DELIVERY_TIMEOUT_MS = GIVEN_UP_AFTER_MS
    publisher = KafkaPublisher({"bootstrap.servers": bootstrap_servers}, "order")
    # As if it had published before: a broker that is asked how many there are would have to answer.
    publisher._partitions["orders"] = PARTITIONS  # pyright: ignore[reportPrivateUsage]
    os.kill(pid, signal.SIGSTOP)
    try:
        acknowledged, error = publisher.publish(store.unpublished(None, 10), lambda: None)
    finally:
        os.kill(pid, signal.SIGCONT)
    if acknowledged or error is None:
        return Finding(said="the broker did not stand still")
    deadline = time.monotonic() + PUBLISHED_WITHIN_S
    while left := store.unpublished(None, 10):
        acknowledged, error = publisher.publish(left, None)
        store.mark_published(acknowledged, 1)
        if time.monotonic() > deadline:
            return Finding(said=f"not published: {error}")
    published = [published_as(record) for record in _read(bootstrap_servers, order_id)]
    history = History(mode, 1, 1, published=published, stored=list(stored_by("order", store)))
    violations = check(history, ["published"])
    return Finding(None, list(dict.fromkeys(each.check for each in violations)), "\n".join(map(str, violations)))


def _events(order_id: str) -> list[NewEvent]:
    order = Order(order_id=order_id)
    bodies = (OrderCreated(order=order), OrderCancellationRequested(order=order))
    return [
        NewEvent(
            f"order/{order_id}",
            version,
            type_name(body),
            str(uuid4()),
            "cause",
            "orders",
            order_id,
            body.SerializeToString(),
            "",
            1,
        )
        for version, body in enumerate(bodies, 1)
    ]


def _read(bootstrap_servers: str, order_id: str) -> list[Record]:
    """All that the topic has of the order; nothing comes any more when nothing came for a while."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": str(uuid4()), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["orders"])
    found: list[Record] = []
    quiet_from_s = time.monotonic()
    while not found or time.monotonic() - quiet_from_s < SILENT_S:
        if time.monotonic() - quiet_from_s > PUBLISHED_WITHIN_S:
            break
        for message in consumer.consume(100, 0.2):
            record = record_of(message)
            if record.key.decode() == order_id:
                found.append(record)
                quiet_from_s = time.monotonic()
    consumer.close()
    return found


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(msgspec.json.encode(look(cast("Mode", sys.argv[1]), os.environ[BROKER], int(os.environ[PID]))).decode())
