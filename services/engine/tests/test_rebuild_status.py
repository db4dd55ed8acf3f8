"""Rebuild of a real read model (status) on a real broker, while it works, is broken by hand, is paused, is killed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from confluent_kafka import Producer
from google.protobuf.message import Message as Proto
from shop.admin.v1 import service_pb2 as admin
from shop.common.v1.common_pb2 import DeliveryStatus
from shop.inventory.v1.events_pb2 import InventoryConfirmed
from shop.order.v1.events_pb2 import OrderCompleted, OrderCreated
from shop.payment.v1.events_pb2 import PaymentCompleted
from shop.shipping.v1.events_pb2 import DeliveryProgressed, Shipped
from shop.status.v1 import service_pb2 as api
from shop.status.v1.service_pb2_grpc import StatusServiceStub

from sagaproof.kafka import RunningBroker, broker
from services import saga
from services.engine.messages import encode_headers
from services.engine.tests.process import ServiceProcess, eventually
from services.tests.shop import order, priced
from services.topics import TOPICS

EVENTS_OF_ONE = 6

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka"), topics=TOPICS) as running:
        yield running


@pytest.fixture(scope="module")
def status(kafka: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """For tests that leave it alive, resumed and in order."""
    service = ServiceProcess(tmp_path_factory.mktemp("status"), kafka.bootstrap_servers, "status", LOG_LEVEL="WARNING")
    service.start()
    yield service
    service.close()


def history(order_id: str) -> list[Proto]:
    """What all services say of one order that ends well."""
    accepted = order({"product-1": 1}, order_id)
    known = priced(accepted)
    return [
        OrderCreated(order=accepted),
        InventoryConfirmed(order=known),
        PaymentCompleted(order=known, amount=known.total),
        Shipped(order=known, tracking_number="SP-1"),
        OrderCompleted(order=known),
        DeliveryProgressed(order=known, status=DeliveryStatus.DELIVERY_STATUS_IN_TRANSIT),
    ]


def tell(kafka: RunningBroker, count: int, stop: threading.Event | None = None) -> list[str]:
    """Publishes the histories of `count` new orders, or of fewer when stopped; their ids."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 5})
    order_ids: list[str] = []
    while len(order_ids) < count and not (stop and stop.is_set()):
        order_ids.append(str(uuid4()))
        for n, event in enumerate(history(order_ids[-1])):
            headers = encode_headers(
                message_id=str(uuid4()),
                type_name=event.DESCRIPTOR.full_name,
                source="test",
                time_us=1_700_000_000_000_000 + n,
                traceparent="",
                cause_id="c",
            )
            value, key = event.SerializeToString(), order_ids[-1].encode()
            producer.produce(saga.TOPIC_OF[type(event)], value, key, headers=list(headers))
        producer.poll(0)
        if stop:
            stop.wait(0.05)  # 120 events a second at most
    assert producer.flush(30) == 0
    return order_ids


def versions(status: ServiceProcess) -> dict[str, int]:
    """Order id -> how many of its events are folded."""
    rows = query(status, "SELECT entity, version FROM entities WHERE entity LIKE 'status/%'")
    return {entity.partition("/")[2]: version for entity, version in rows}


def query(status: ServiceProcess, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(status.database)) as database:
        return database.execute(sql, parameters).fetchall()


def entities(status: ServiceProcess) -> int:
    return query(status, "SELECT count(*) FROM entities")[0][0]


def folded(status: ServiceProcess, order_ids: list[str]) -> bool:
    found = versions(status)
    return all(found.get(order_id) == EVENTS_OF_ONE for order_id in order_ids)


def rebuild(status: ServiceProcess, repair: bool = False) -> admin.RebuildResponse:
    return status.admin.Rebuild(admin.RebuildRequest(repair=repair), timeout=120)


def paused(status: ServiceProcess) -> bool:
    return status.admin.GetInfo(admin.GetInfoRequest(), timeout=5).paused


def test_what_was_broken_by_hand_is_named_and_healed(kafka: RunningBroker, status: ServiceProcess) -> None:
    order_ids = tell(kafka, 50)
    eventually("all are folded", lambda: folded(status, order_ids))
    clean = rebuild(status)
    assert clean.entities == entities(status)
    assert clean.events >= 50 * EVENTS_OF_ONE
    assert (clean.different_count, clean.repaired) == (0, False)

    other, older, gone, no_json = order_ids[:4]
    extra = str(uuid4())
    with closing(sqlite3.connect(status.database)) as database, database:
        database.execute("UPDATE entities SET state = '{}' WHERE entity = ?", (f"status/{other}",))
        database.execute("UPDATE entities SET version = 1 WHERE entity = ?", (f"status/{older}",))
        database.execute("DELETE FROM entities WHERE entity = ?", (f"status/{gone}",))
        database.execute("UPDATE entities SET state = 'x' WHERE entity = ?", (f"status/{no_json}",))
        database.execute("INSERT INTO entities VALUES (?, 1, '{}')", (f"status/{extra}",))
    broken = sorted(f"status/{order_id}" for order_id in (other, older, gone, no_json, extra))

    for _ in range(2):
        found = rebuild(status)
        assert list(found.different) == broken
        assert (found.different_count, found.repaired) == (5, False)
    healed = rebuild(status, repair=True)
    assert list(healed.different) == broken
    assert healed.repaired
    assert rebuild(status, repair=True).different_count == 0
    assert folded(status, order_ids)
    assert extra not in versions(status)
    document = StatusServiceStub(status.channel).GetStatus(api.GetStatusRequest(order_id=gone), timeout=5).document
    assert document.seq == EVENTS_OF_ONE
    assert not paused(status)


def test_places_in_indexes_and_the_event_log_are_compared_and_healed(
    kafka: RunningBroker, status: ServiceProcess
) -> None:
    order_ids = tell(kafka, 20)
    eventually("all are folded", lambda: folded(status, order_ids))
    places = query(status, "SELECT * FROM entity_index ORDER BY name, bucket, position, entity")
    events = query(status, "SELECT message_id, type, key, payload FROM event_log ORDER BY message_id")
    assert len(events) == EVENTS_OF_ONE * len(versions(status))
    unplaced, misplaced, *_ = order_ids
    lost, changed = (
        query(status, "SELECT message_id FROM event_log WHERE key = ? ORDER BY seq", order_id)[0][0]
        for order_id in order_ids[:2]
    )
    with closing(sqlite3.connect(status.database)) as database, database:
        database.execute("DELETE FROM entity_index WHERE entity = ?", (f"status/{unplaced}",))
        database.execute("UPDATE entity_index SET bucket = 'OPEN' WHERE entity = ?", (f"status/{misplaced}",))
        database.execute("DELETE FROM event_log WHERE message_id = ?", (lost,))
        database.execute("UPDATE event_log SET payload = x'00' WHERE message_id = ?", (changed,))
        database.execute(
            "INSERT INTO event_log SELECT seq + 1000000, 'extra', type, key, source, time_us, cause_id,"
            " traceparent, payload FROM event_log LIMIT 1"
        )
    broken = {f"status/{unplaced}", f"status/{misplaced}", f"log/{lost}", f"log/{changed}", "log/extra"}

    found = rebuild(status)
    assert (set(found.different), found.different_count, found.repaired) == (broken, 5, False)
    healed = rebuild(status, repair=True)
    assert (set(healed.different), healed.repaired) == (broken, True)
    assert rebuild(status).different_count == 0
    assert query(status, "SELECT * FROM entity_index ORDER BY name, bucket, position, entity") == places
    assert query(status, "SELECT message_id, type, key, payload FROM event_log ORDER BY message_id") == events


def test_events_that_come_meanwhile_are_folded_once_and_it_goes_on(
    kafka: RunningBroker, status: ServiceProcess
) -> None:
    stop = threading.Event()
    order_ids: list[str] = []
    telling = threading.Thread(target=lambda: order_ids.extend(tell(kafka, 100_000, stop)))
    telling.start()
    try:
        for n in range(6):
            assert rebuild(status, repair=bool(n % 2)).different_count == 0
    finally:
        stop.set()
        telling.join()
    eventually("all are folded", lambda: folded(status, order_ids), 30)
    assert max(versions(status).values()) == EVENTS_OF_ONE
    assert not paused(status)
    last = rebuild(status)
    assert (last.entities, last.different_count) == (entities(status), 0)


def test_its_work_is_not_counted_as_the_services_own(kafka: RunningBroker, status: ServiceProcess) -> None:
    order_ids = tell(kafka, 1)
    eventually("it is folded", lambda: folded(status, order_ids))
    before = status.metric("sagaproof_messages_handled_total")
    rebuild(status)
    assert status.metric("sagaproof_messages_handled_total") == before


def test_a_service_that_an_operator_paused_stays_paused(kafka: RunningBroker, status: ServiceProcess) -> None:
    status.admin.Pause(admin.PauseRequest(), timeout=5)
    order_ids = tell(kafka, 20)
    eventually("it lags", lambda: status.admin.GetInfo(admin.GetInfoRequest()).lag >= 20 * EVENTS_OF_ONE)
    assert rebuild(status, repair=True).different_count == 0, "what it has not handled yet is no difference"
    assert paused(status)
    assert versions(status).keys().isdisjoint(order_ids)
    status.admin.Resume(admin.ResumeRequest(), timeout=5)
    eventually("all are folded", lambda: folded(status, order_ids))


def test_two_at_once_are_refused_and_a_caller_who_gives_up_ends_his(status: ServiceProcess) -> None:
    first = status.admin.Rebuild.future(admin.RebuildRequest(), timeout=60)
    second = status.admin.Rebuild.future(admin.RebuildRequest(), timeout=60)
    codes = [call.exception() for call in (first, second)]
    refused = [error.code() for error in codes if isinstance(error, grpc.RpcError)]
    assert refused == [grpc.StatusCode.FAILED_PRECONDITION]
    status.admin.Rebuild.future(admin.RebuildRequest(), timeout=60).cancel()
    eventually("the next one is taken", lambda: _code(status) is None)
    assert not paused(status)


def test_what_was_handled_but_not_committed_when_it_was_killed_is_no_difference(
    kafka: RunningBroker, status: ServiceProcess
) -> None:
    shipped = "shop.shipping.v1.Shipped"
    kill = admin.Fault(point="before-offset-commit", action=admin.FaultAction.FAULT_ACTION_KILL, message_type=shipped)
    status.admin.InjectFault(admin.InjectFaultRequest(fault=kill), timeout=5)
    order_ids = tell(kafka, 20)
    eventually("it was killed", lambda: status.exit_code() is not None)
    status.launch()
    answer = status.admin.Rebuild(admin.RebuildRequest(repair=True), timeout=60, wait_for_ready=True)
    assert answer.different_count == 0
    eventually("all are folded", lambda: folded(status, order_ids))


def test_a_broker_that_is_away_is_said_and_the_service_goes_on_when_it_is_back(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with broker(tmp_path_factory.mktemp("kafka"), topics=TOPICS) as running:
        status = ServiceProcess(tmp_path, running.bootstrap_servers, "status")
        status.start()
        first = tell(running, 3)
        eventually("all are folded", lambda: folded(status, first))
        running.kill()
        eventually("it is seen", lambda: status.get("/ready") == 503)
        assert _code(status) == grpc.StatusCode.UNAVAILABLE
        assert not paused(status)
        running.start()
        second = tell(running, 3)
        eventually("all are folded", lambda: folded(status, second), 30)
        assert rebuild(status).different_count == 0
        status.close()


def _code(status: ServiceProcess) -> grpc.StatusCode | None:
    """What a Rebuild is refused with, if it is."""
    error = status.admin.Rebuild.future(admin.RebuildRequest(), timeout=60).exception()
    return error.code() if isinstance(error, grpc.RpcError) else None
