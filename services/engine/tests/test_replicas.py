"""Two replicas of a real service (inventory) on a real broker and a real PostgreSQL: races, handovers, late awakenings.

Whatever happens, each order is reserved once, stock adds up, and what is on the topic is what the store has: every
event under one id, and the events of an order, where each is seen first, in their order.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from confluent_kafka import Consumer, Producer
from shop.admin.v1 import service_pb2 as admin
from shop.common.v1.common_pb2 import Order, OrderItem
from shop.inventory.v1 import service_pb2 as api
from shop.order.v1.events_pb2 import OrderCreated
from shop.payment.v1.events_pb2 import PaymentFailed

from sagaproof.kafka import RunningBroker, broker
from services.engine.messages import encode_headers
from services.engine.postgres import PostgresStore
from services.engine.tests.process import ServiceProcess, eventually
from services.engine.tests.stores import postgres_url
from services.topics import TOPICS

CREATED = "shop.order.v1.OrderCreated"
FAILED = "shop.payment.v1.PaymentFailed"
STOCK = 100
"""Of product-1, in the catalogue."""
WITHIN_S = 40.0
"""Longer than a session, and than a machine that is busy."""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[RunningBroker]:
    with broker(tmp_path / "kafka", topics=TOPICS) as running:
        yield running


@pytest.fixture
def url() -> str:
    return postgres_url()


@pytest.fixture
def replica(tmp_path: Path, kafka: RunningBroker, url: str) -> Iterator[Callable[[int], ServiceProcess]]:
    """Makes replica n, which is not started yet; all of them are ended after the test."""
    made: list[ServiceProcess] = []

    def make(n: int) -> ServiceProcess:
        folder = tmp_path / f"replica-{len(made)}"
        folder.mkdir()
        made.append(ServiceProcess(folder, kafka.bootstrap_servers, DATABASE_URL=url, INSTANCE=f"inventory-{n}"))
        return made[-1]

    yield make
    for service in made:
        service.close()


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    opened = PostgresStore(url)
    yield opened
    opened.close()


def publish(kafka: RunningBroker, topic: str, type_name: str, body: Any, order_id: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    headers: Any = encode_headers(
        message_id=f"{type_name} {order_id}", type_name=type_name, source="t", time_us=0, traceparent="", cause_id="c"
    )
    producer.produce(topic, body.SerializeToString(), order_id.encode(), headers=headers)
    assert producer.flush(10) == 0


def order(order_id: str) -> Order:
    return Order(order_id=order_id, user_id="u", items=[OrderItem(product_id="product-1", quantity=1)])


def place(kafka: RunningBroker, count: int) -> list[str]:
    """Publishes new orders of one product-1 each; their ids."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    order_ids = [str(uuid4()) for _ in range(count)]
    for order_id in order_ids:
        headers: Any = encode_headers(
            message_id=f"{CREATED} {order_id}", type_name=CREATED, source="t", time_us=0, traceparent="", cause_id="c"
        )
        producer.produce(
            "orders", OrderCreated(order=order(order_id)).SerializeToString(), order_id.encode(), headers=headers
        )
    assert producer.flush(10) == 0
    return order_ids


def reserved(store: PostgresStore) -> int:
    """Orders that inventory has decided."""
    return len(store.entities("reservation/"))


def decided(store: PostgresStore, count: int) -> None:
    eventually(f"{count} orders are decided", lambda: reserved(store) >= count, WITHIN_S)
    eventually("all is published", lambda: not store.unpublished(None, 1), WITHIN_S)


def on_topic(kafka: RunningBroker, count: int) -> list[tuple[str, str, str]]:
    """(event id, type, order id) of the topic `inventory`, from its beginning, until `count` ids were seen."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": str(uuid4()), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["inventory"])
    found: list[tuple[str, str, str]] = []

    def enough() -> bool:
        for message in consumer.consume(500, 0.2):
            headers: Any = dict(message.headers() or [])
            key: Any = message.key()
            found.append((headers["ce_id"].decode(), headers["ce_type"].decode(), key.decode()))
        return len({event_id for event_id, _, _ in found}) >= count

    eventually(f"{count} events are on the topic", enough, WITHIN_S)
    consumer.close()
    return found


def assert_sound(kafka: RunningBroker, store: PostgresStore, order_ids: list[str]) -> None:
    """Nothing lost, nothing twice, in order."""
    events = [event for event in store.events("", 0, 100_000) if event.topic == "inventory"]
    assert Counter(event.key for event in events if "Confirmed" in event.type or "Rejected" in event.type) == Counter(
        order_ids
    )
    confirmed = sum("InventoryConfirmed" in event.type for event in events)
    released = sum("InventoryReleased" in event.type for event in events)
    assert confirmed == min(STOCK, len(order_ids))
    row = store.entity("stock/product-1")
    assert row is not None
    assert json.loads(row.state).get("available", 0) == STOCK - confirmed + released
    records = on_topic(kafka, len(events))
    assert {event_id for event_id, _, _ in records} == {event.message_id for event in events}
    seen_in_order: dict[str, list[str]] = {}
    for event_id, _, key in records:
        if event_id not in seen_in_order.setdefault(key, []):
            seen_in_order[key].append(event_id)
    stored_in_order: dict[str, list[str]] = {}
    for event in sorted(events, key=lambda e: (e.key, e.version)):
        stored_in_order.setdefault(event.key, []).append(event.message_id)
    assert seen_in_order == stored_in_order
    assert store.dead_letters(None, "", 10) == []


def arm(service: ServiceProcess, point: str, action: admin.FaultAction, stall_ms: int = 0) -> None:
    fault = admin.Fault(point=point, action=action, message_type=CREATED, stall_ms=stall_ms)
    service.admin.InjectFault(admin.InjectFaultRequest(fault=fault), timeout=10)


def both(replica: Callable[[int], ServiceProcess]) -> tuple[ServiceProcess, ServiceProcess]:
    """Two replicas that share the partitions."""
    one, other = replica(0), replica(1)
    one.start()
    other.start()

    def share() -> bool:
        infos = [service.admin.GetInfo(admin.GetInfoRequest(), timeout=10) for service in (one, other)]
        return all(info.ready for info in infos)

    eventually("both are ready", share, WITHIN_S)
    return one, other


def test_two_replicas_sell_the_last_pieces_once(
    kafka: RunningBroker, store: PostgresStore, replica: Callable[[int], ServiceProcess]
) -> None:
    both(replica)
    order_ids = place(kafka, STOCK + 50)
    decided(store, len(order_ids))
    assert_sound(kafka, store, order_ids)


def test_a_command_that_comes_to_both_replicas_at_once_is_carried_out_once_and_answered_alike(
    replica: Callable[[int], ServiceProcess],
) -> None:
    replicas = both(replica)
    for n in range(20):
        request = api.RestockRequest(request_id=f"r-{n}", product_id="product-2", quantity=1)
        calls: list[Any] = [service.inventory.Restock.future(request, timeout=15) for service in replicas]
        answers = [call.result() for call in calls]
        assert answers[0] == answers[1]
    stock = replicas[0].inventory.GetProduct(api.GetProductRequest(product_id="product-2"), timeout=10).product
    assert stock.available == 50 + 20


def test_replicas_that_come_and_go_amid_the_work_lose_and_double_nothing(
    kafka: RunningBroker, store: PostgresStore, replica: Callable[[int], ServiceProcess]
) -> None:
    one = replica(0)
    one.start()
    order_ids = place(kafka, 300)
    eventually("it is at work", lambda: reserved(store) > 0, WITHIN_S)
    other = replica(1)
    other.start()
    order_ids += place(kafka, 300)
    eventually("it is further", lambda: reserved(store) > 300, WITHIN_S)
    one.kill()
    order_ids += place(kafka, 100)
    decided(store, len(order_ids))
    assert_sound(kafka, store, order_ids)


@pytest.mark.parametrize("point", ["before-transaction", "after-commit"])
def test_a_replica_that_wakes_up_after_its_partitions_were_given_away_does_no_harm(
    kafka: RunningBroker, store: PostgresStore, replica: Callable[[int], ServiceProcess], point: str
) -> None:
    paused = replica(0)
    paused.start()
    arm(paused, point, admin.FaultAction.FAULT_ACTION_STALL, stall_ms=3000)
    order_ids = place(kafka, 20)
    eventually("it has reached the point", lambda: not armed(paused), WITHIN_S)
    process: Any = paused._process  # pyright: ignore[reportPrivateUsage]
    process.send_signal(signal.SIGSTOP)
    try:
        heir = replica(1)
        heir.start()
        # Its session has to end before the heir gets the partitions.
        order_ids += place(kafka, 20)
        decided(store, len(order_ids))
    finally:
        process.send_signal(signal.SIGCONT)
    eventually("it is awake", lambda: paused.get("/health") == 200, WITHIN_S)
    order_ids += place(kafka, 10)
    decided(store, len(order_ids))
    eventually("it has rejoined or ended", lambda: paused.exit_code() is not None or caught_up(paused), WITHIN_S)
    assert_sound(kafka, store, order_ids)


def armed(service: ServiceProcess) -> bool:
    return bool(service.admin.GetInfo(admin.GetInfoRequest(), timeout=10).faults)


def caught_up(service: ServiceProcess) -> bool:
    try:
        info = service.admin.GetInfo(admin.GetInfoRequest(), timeout=10)
    except grpc.RpcError:
        return False
    return info.ready and info.lag == 0


def test_what_a_dead_replica_left_unpublished_goes_out_before_what_its_heir_decides(
    kafka: RunningBroker, store: PostgresStore, replica: Callable[[int], ServiceProcess]
) -> None:
    """It dies between its commit and its publishing; its heir hears of the order's undo, and decides that."""
    dying = replica(0)
    dying.start()
    arm(dying, "after-commit", admin.FaultAction.FAULT_ACTION_KILL)
    order_ids = place(kafka, 10)
    eventually("it has died", lambda: dying.exit_code() is not None, WITHIN_S)
    left = [event.key for event in store.unpublished(None, 100)]
    assert left
    heir = replica(1)
    heir.launch()
    for order_id in left:
        publish(kafka, "payment", FAILED, PaymentFailed(order=order(order_id)), order_id)

    def undone() -> bool:
        return sum("Released" in event.type for event in store.events("", 0, 1000)) >= len(left)

    eventually("the heir has undone them", undone, WITHIN_S)
    decided(store, len(order_ids))
    assert_sound(kafka, store, order_ids)


def test_while_one_replica_is_dead_the_other_answers_and_handles(
    kafka: RunningBroker, store: PostgresStore, replica: Callable[[int], ServiceProcess]
) -> None:
    one, other = both(replica)
    one.kill()
    killed_at = time.monotonic()
    request = api.RestockRequest(request_id="r", product_id="product-3", quantity=5)
    assert other.inventory.Restock(request, timeout=5).product.available == 30
    order_ids = place(kafka, 30)
    decided(store, len(order_ids))
    assert time.monotonic() - killed_at < WITHIN_S
    assert_sound(kafka, store, order_ids)
