"""The status service as a process, on a real broker: what it lists, counts and tells live."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import grpc
import pytest
from confluent_kafka import Producer
from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import OrderStatus
from shop.inventory.v1.events_pb2 import StockReplenished
from shop.status.v1 import dashboard_pb2, lists_pb2, log_pb2
from shop.status.v1.service_pb2_grpc import StatusServiceStub

from sagaproof.kafka import RunningBroker, broker
from services import saga
from services.engine.messages import encode_headers
from services.engine.tests.process import ServiceProcess, eventually
from services.status.tests.model import START_MS, order_id, story
from services.topics import TOPICS

WITHIN_S = 60.0

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka"), topics=TOPICS) as running:
        yield running


@pytest.fixture(scope="module")
def service(kafka: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    process = ServiceProcess(
        tmp_path_factory.mktemp("status"), kafka.bootstrap_servers, "status", SAGA_MODE="orchestrated"
    )
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def status(service: ServiceProcess) -> StatusServiceStub:
    return StatusServiceStub(service.channel)


def publish(kafka: RunningBroker, *events: Proto) -> list[str]:
    """As their services do; their ids."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    ids: list[str] = []
    for number, event in enumerate(events):
        name = saga.full_name(type(event))
        ids.append(str(uuid4()))
        headers = encode_headers(
            message_id=ids[-1],
            type_name=name,
            source=name.split(".")[1],
            time_us=(START_MS + number) * 1000,
            traceparent="",
            cause_id="cause",
        )
        carried = getattr(event, "order", None)
        key = "product-1" if carried is None else carried.order_id
        producer.produce(saga.TOPIC_OF[type(event)], event.SerializeToString(), key.encode(), headers=list(headers))
    assert producer.flush(WITHIN_S) == 0
    return ids


def summaries(status: StatusServiceStub, user: str) -> list[lists_pb2.OrderSummary]:
    asked = lists_pb2.ListOrdersRequest(filter=lists_pb2.OrderFilter(user_id=user), limit=50)
    return list(status.ListOrders(asked, timeout=10).orders)


def test_orders_sagas_and_events_are_listed(kafka: RunningBroker, status: StatusServiceStub) -> None:
    done, refused = order_id(1), order_id(2)
    ids = publish(kafka, *story(done, user="lists"), *story(refused, "CANCELLED", "lists"))

    def listed() -> bool:
        return [(each.order_id, each.seq) for each in summaries(status, "lists")] == [(refused, 3), (done, 5)]

    eventually("both are listed", listed, WITHIN_S)
    completed = OrderStatus.ORDER_STATUS_COMPLETED
    asked = lists_pb2.ListSagasRequest(filter=lists_pb2.OrderFilter(user_id="lists", status=completed), limit=5)
    (found,) = status.ListSagas(asked, timeout=10).sagas
    assert [step.type for step in found.steps][-2:] == ["Shipped", "OrderCompleted"]
    of_order = log_pb2.ListEventsRequest(filter=log_pb2.EventFilter(order_id=done), limit=50)
    assert [event.id for event in status.ListEvents(of_order, timeout=10).events] == ids[:5]


def test_an_event_without_an_order_is_in_the_log_alone(kafka: RunningBroker, status: StatusServiceStub) -> None:
    (restocked,) = publish(kafka, StockReplenished(product_id="product-1", quantity=3, request_id="r"))
    asked = log_pb2.ListEventsRequest(filter=log_pb2.EventFilter(type="StockReplenished"), limit=5)
    eventually(
        "it is in the log",
        lambda: [event.id for event in status.ListEvents(asked, timeout=10).events] == [restocked],
        WITHIN_S,
    )


def test_the_dashboard_is_told_when_it_changes(kafka: RunningBroker, status: StatusServiceStub) -> None:
    stream = status.WatchDashboard(dashboard_pb2.WatchDashboardRequest(), timeout=WITHIN_S)
    before = next(stream).dashboard
    publish(kafka, *story(order_id(10), user="figures"), *story(order_id(11), user="figures", steps=2))

    def whole(dashboard: dashboard_pb2.Dashboard) -> bool:
        opened = {each.status: each.orders for each in dashboard.open}
        return dashboard.completed > before.completed and OrderStatus.ORDER_STATUS_AWAITING_PAYMENT in opened

    after = next(response.dashboard for response in stream if whole(response.dashboard))
    stream.cancel()
    assert (after.accepted - before.accepted, after.completed - before.completed) == (2, 1)
    assert status.GetDashboard(dashboard_pb2.GetDashboardRequest(), timeout=10).dashboard == after


def test_the_saga_table_is_told_with_the_mode(status: StatusServiceStub) -> None:
    table = status.GetSagaTable(lists_pb2.GetSagaTableRequest(), timeout=10)
    assert table.mode == "orchestrated"
    by_command = {row.command: row for row in table.rows}
    assert by_command["ShipOrder"].command_topic == "shipping.commands"
    assert by_command["Notify"].command_topic == ""
    assert len(table.rows) == len(saga.SAGA)


@pytest.mark.parametrize(
    "asked",
    [
        log_pb2.ListEventsRequest(filter=log_pb2.EventFilter(order_id="x"), limit=5),
        log_pb2.ListEventsRequest(filter=log_pb2.EventFilter(type="OrderLost"), limit=5),
        log_pb2.ListEventsRequest(limit=0),
    ],
    ids=["order_id", "type", "limit"],
)
def test_a_wrong_question_is_refused(status: StatusServiceStub, asked: log_pb2.ListEventsRequest) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        status.ListEvents(asked, timeout=10)
    assert refused.value.args[0].code is grpc.StatusCode.INVALID_ARGUMENT


def test_events_are_told_live_and_from_a_cursor_on_also_after_a_kill(
    kafka: RunningBroker, service: ServiceProcess, status: StatusServiceStub
) -> None:
    stream = status.WatchEvents(log_pb2.WatchEventsRequest(), timeout=WITHIN_S)
    begun = next(stream)
    assert not begun.events
    first = publish(kafka, *story(order_id(20), user="live"))
    told: list[str] = []
    cursor = begun.cursor
    while len(told) < len(first):
        response = next(stream)
        told += [event.id for event in response.events]
        cursor = response.cursor
    stream.cancel()
    assert sorted(told) == sorted(first)

    service.kill()
    second = publish(kafka, *story(order_id(21), user="live"))
    service.launch()
    told = []
    again = status.WatchEvents(log_pb2.WatchEventsRequest(after=cursor), timeout=WITHIN_S, wait_for_ready=True)
    while len(told) < len(second):
        told += [event.id for event in next(again).events]
    again.cancel()
    assert sorted(told) == sorted(second)
