"""One real service (inventory) on a real broker: its RPCs, its admin calls, its health, its ends and its returns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from confluent_kafka import Consumer, Producer
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from shop.admin.v1 import service_pb2 as admin
from shop.common.v1.common_pb2 import Order, OrderItem
from shop.inventory.v1 import service_pb2 as api
from shop.order.v1.events_pb2 import OrderCreated

from sagaproof.kafka import RunningBroker, broker
from sagaproof.kafka_admin import admin as admin_client
from sagaproof.kafka_admin import create_topics
from services.engine.messages import encode_headers
from services.engine.tests.process import ServiceProcess, eventually
from services.topics import TOPICS

CREATED = "shop.order.v1.OrderCreated"

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka"), topics=TOPICS) as running:
        yield running


@pytest.fixture(scope="module")
def shared(kafka: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """For tests that leave it alive and well."""
    service = ServiceProcess(tmp_path_factory.mktemp("shared"), kafka.bootstrap_servers, INSTANCE="inventory-shared")
    service.start()
    yield service
    service.close()


@pytest.fixture(scope="module")
def other_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def service(tmp_path: Path, other_kafka: RunningBroker) -> Iterator[ServiceProcess]:
    """With topics of its own, for tests that hurt it or its broker."""
    create_topics(other_kafka.bootstrap_servers, TOPICS)
    service = ServiceProcess(tmp_path, other_kafka.bootstrap_servers)
    service.start()
    yield service
    service.close()
    delete_topics(other_kafka.bootstrap_servers)


def delete_topics(kafka_address: str) -> None:
    """With them go the offsets of every group."""
    client: Any = admin_client(kafka_address)
    for future in client.delete_topics([topic.name for topic in TOPICS]).values():
        future.result(10)
    eventually("they are gone", lambda: not {t.name for t in TOPICS} & set(client.list_topics(timeout=5).topics))


def order_created(kafka_address: str, *order_ids: str) -> None:
    """Publishes events as the order service does, each for one product-1."""
    producer = Producer({"bootstrap.servers": kafka_address})
    for order_id in order_ids:
        order = Order(order_id=order_id, user_id="u", items=[OrderItem(product_id="product-1", quantity=1)])
        headers: Any = encode_headers(
            message_id=str(uuid4()), type_name=CREATED, source="order", time_us=0, traceparent="", cause_id="c"
        )
        producer.produce("orders", OrderCreated(order=order).SerializeToString(), order_id.encode(), headers=headers)
    assert producer.flush(10) == 0


def reservation(service: ServiceProcess, order_id: str) -> str:
    try:
        return service.inventory.GetReservation(api.GetReservationRequest(order_id=order_id), timeout=5).status
    except grpc.RpcError:
        return ""


def bootstrap(service: ServiceProcess) -> str:
    return service._environment["KAFKA_BOOTSTRAP_SERVERS"]  # pyright: ignore[reportPrivateUsage]


def published(kafka_address: str, count: int) -> list[tuple[str, str]]:
    """(event id, order id) of `count` records at least of the topic `inventory`, from its beginning."""
    consumer = Consumer({"bootstrap.servers": kafka_address, "group.id": str(uuid4()), "auto.offset.reset": "earliest"})
    consumer.subscribe(["inventory"])
    found: list[tuple[str, str]] = []

    def enough() -> bool:
        for message in consumer.consume(100, 0.2):
            headers: Any = dict(message.headers() or [])
            key: Any = message.key()
            found.append((headers["ce_id"].decode(), key.decode()))
        return len(found) >= count

    eventually("the events are published", enough)
    consumer.close()
    return found


def refused(call: Any, request: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=5)
    error: Any = caught.value
    return error.code()


def test_a_command_is_answered_after_its_commit_and_repeating_it_changes_nothing(shared: ServiceProcess) -> None:
    before = shared.inventory.GetProduct(api.GetProductRequest(product_id="product-2"), timeout=5).product.available
    request = api.RestockRequest(request_id="r-1", product_id="product-2", quantity=7)
    for _ in range(3):
        assert shared.inventory.Restock(request, timeout=5).product.available == before + 7
    request.quantity = 8
    assert refused(shared.inventory.Restock, request) == grpc.StatusCode.ALREADY_EXISTS


def test_a_request_that_breaks_a_field_rule_is_refused_with_the_field(shared: ServiceProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        shared.inventory.Restock(api.RestockRequest(request_id="r-2", product_id="a b", quantity=0), timeout=5)
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    untyped: Any = rpc_status
    status = untyped.from_call(error)
    details: Any = error_details_pb2.BadRequest()
    status.details[0].Unpack(details)
    assert sorted(v.field for v in details.field_violations) == ["product_id", "quantity"]


def test_an_unknown_product_is_not_found(shared: ServiceProcess) -> None:
    assert refused(shared.inventory.GetProduct, api.GetProductRequest(product_id="no")) == grpc.StatusCode.NOT_FOUND
    restock = api.RestockRequest(request_id="r-3", product_id="no", quantity=1)
    assert refused(shared.inventory.Restock, restock) == grpc.StatusCode.NOT_FOUND
    unknown = api.GetReservationRequest(order_id=str(uuid4()))
    assert refused(shared.inventory.GetReservation, unknown) == grpc.StatusCode.NOT_FOUND


def test_reflection_names_every_service_of_both_listeners(shared: ServiceProcess) -> None:
    public = set(ProtoReflectionDescriptorDatabase(shared.channel).get_services())
    assert {"shop.inventory.v1.InventoryService", "grpc.health.v1.Health"} <= public
    assert "shop.admin.v1.AdminService" not in public
    assert "shop.admin.v1.AdminService" in ProtoReflectionDescriptorDatabase(shared.admin_channel).get_services()


def test_health_is_told_by_grpc_and_by_http(shared: ServiceProcess) -> None:
    stub: Any = health_pb2_grpc.HealthStub(shared.channel)
    for name in ("", "readiness", "liveness"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert [shared.get(path) for path in ("/health", "/ready", "/metrics", "/nothing")] == [200, 200, 200, 404]


def test_an_event_of_kafka_is_carried_out_and_its_answer_published(
    kafka: RunningBroker, shared: ServiceProcess
) -> None:
    order_id = str(uuid4())
    order_created(kafka.bootstrap_servers, order_id)
    eventually("it is reserved", lambda: reservation(shared, order_id) == "reserved")
    assert order_id in [key for _, key in published(kafka.bootstrap_servers, 1)]


def test_a_paused_service_takes_nothing_and_goes_on_when_resumed(kafka: RunningBroker, shared: ServiceProcess) -> None:
    shared.admin.Pause(admin.PauseRequest(), timeout=5)
    order_id = str(uuid4())
    order_created(kafka.bootstrap_servers, order_id)
    eventually("it lags", lambda: shared.admin.GetInfo(admin.GetInfoRequest()).lag)
    info = shared.admin.GetInfo(admin.GetInfoRequest())
    assert info.paused
    assert info.service == "inventory"
    assert {position.topic for position in info.positions} == {"orders", "payment", "shipping"}
    assert reservation(shared, order_id) == ""
    restock = api.RestockRequest(request_id=str(uuid4()), product_id="product-1", quantity=1)
    shared.inventory.Restock(restock, timeout=5)  # RPCs are still answered
    shared.admin.Resume(admin.ResumeRequest(), timeout=5)
    eventually("it is reserved", lambda: reservation(shared, order_id) == "reserved")
    eventually("it does not lag", lambda: shared.admin.GetInfo(admin.GetInfoRequest()).lag == 0)


def test_events_and_entities_are_shown_decoded(kafka: RunningBroker, shared: ServiceProcess) -> None:
    order_id = str(uuid4())
    order_created(kafka.bootstrap_servers, order_id)
    eventually("it is reserved", lambda: reservation(shared, order_id) == "reserved")
    listed = shared.admin.ListEvents(admin.ListEventsRequest(entity=f"reservation/{order_id}"), timeout=5).events
    assert [event.type for event in listed] == ["shop.inventory.v1.InventoryConfirmed"]
    assert order_id in listed[0].json
    assert listed[0].topic == "inventory"
    entity = shared.admin.GetEntity(admin.GetEntityRequest(entity=f"reservation/{order_id}"), timeout=5)
    assert entity.version == 1
    assert '"reserved"' in entity.json
    assert refused(shared.admin.GetEntity, admin.GetEntityRequest(entity="stock/no")) == grpc.StatusCode.NOT_FOUND
    page = shared.admin.ListEvents(admin.ListEventsRequest(after_seq=listed[0].seq, limit=1), timeout=5).events
    assert all(event.seq > listed[0].seq for event in page)


def test_a_rebuild_finds_every_state_to_be_the_fold_of_its_events(shared: ServiceProcess) -> None:
    answer = shared.admin.Rebuild(admin.RebuildRequest(), timeout=10)
    assert answer.entities >= 3
    assert answer.different_count == 0


def test_a_dead_letter_is_listed_refused_while_it_is_wrong_replayed_when_corrected(
    kafka: RunningBroker, shared: ServiceProcess
) -> None:
    order_id = str(uuid4())
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    headers: Any = encode_headers(
        message_id=str(uuid4()), type_name=CREATED, source="order", time_us=0, traceparent="", cause_id="c"
    )
    producer.produce("orders", b"garbage", order_id.encode(), headers=headers)
    assert producer.flush(10) == 0
    is_open = admin.ListDeadLettersRequest(status=admin.DeadLetterStatus.DEAD_LETTER_STATUS_OPEN)
    letter = eventually("it is dead", lambda: shared.admin.ListDeadLetters(is_open, timeout=5).dead_letters)[0]
    assert letter.payload == b"garbage"
    again = admin.ReplayDeadLetterRequest(id=letter.id)
    assert refused(shared.admin.ReplayDeadLetter, again) == grpc.StatusCode.FAILED_PRECONDITION
    order = Order(order_id=order_id, user_id="u", items=[OrderItem(product_id="product-1", quantity=1)])
    again.payload = OrderCreated(order=order).SerializeToString()
    shared.admin.ReplayDeadLetter(again, timeout=5)
    assert reservation(shared, order_id) == "reserved"
    assert not shared.admin.ListDeadLetters(is_open, timeout=5).dead_letters
    discarded = shared.admin.DiscardDeadLetter(admin.DiscardDeadLetterRequest(id=letter.id), timeout=5)
    assert discarded.status == admin.DeadLetterStatus.DEAD_LETTER_STATUS_REPLAYED
    nothing = admin.DiscardDeadLetterRequest(id="nothing")
    assert refused(shared.admin.DiscardDeadLetter, nothing) == grpc.StatusCode.NOT_FOUND


def test_health_answers_while_the_loop_is_stalled(shared: ServiceProcess) -> None:
    stall = admin.Fault(point="before-transaction", action=admin.FaultAction.FAULT_ACTION_STALL, stall_ms=3000)
    shared.admin.InjectFault(admin.InjectFaultRequest(fault=stall), timeout=5)
    request = api.RestockRequest(request_id=str(uuid4()), product_id="product-1", quantity=1)
    answer: Any = shared.inventory.Restock.future(request, timeout=10)
    eventually("the fault has fired", lambda: not shared.admin.GetInfo(admin.GetInfoRequest(), timeout=1).faults)
    assert not answer.done()
    stub: Any = health_pb2_grpc.HealthStub(shared.channel)
    stub.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=1)
    assert shared.get("/health") == 200
    assert answer.result().product.product_id == "product-1"


def test_a_fault_that_is_cleared_does_not_fire(shared: ServiceProcess) -> None:
    kill = admin.Fault(point="after-commit", action=admin.FaultAction.FAULT_ACTION_KILL)
    armed = shared.admin.InjectFault(admin.InjectFaultRequest(fault=kill), timeout=5).faults
    assert [fault.point for fault in armed] == ["after-commit"]
    shared.admin.ClearFaults(admin.ClearFaultsRequest(), timeout=5)
    restock = api.RestockRequest(request_id=str(uuid4()), product_id="product-1", quantity=1)
    shared.inventory.Restock(restock, timeout=5)
    assert shared.exit_code() is None


def test_the_log_level_is_changed_while_it_runs(kafka: RunningBroker, shared: ServiceProcess) -> None:
    shared.admin.SetLogLevel(admin.SetLogLevelRequest(level="WARNING"), timeout=5)
    order_id = str(uuid4())
    order_created(kafka.bootstrap_servers, order_id)
    eventually("it is reserved", lambda: reservation(shared, order_id) == "reserved")
    shared.admin.SetLogLevel(admin.SetLogLevelRequest(level="INFO"), timeout=5)
    louder = str(uuid4())
    order_created(kafka.bootstrap_servers, louder)
    eventually("it is logged", lambda: louder in shared.log.read_text())
    assert order_id not in shared.log.read_text()


def test_a_service_that_is_asked_to_stop_commits_and_leaves_within_ten_seconds(service: ServiceProcess) -> None:
    order_ids = [str(uuid4()) for _ in range(50)]
    order_created(bootstrap(service), *order_ids)
    eventually("all are handled", lambda: service.metric("sagaproof_messages_handled_total") >= 51)
    code, took_s = service.terminate()
    assert code == 0
    assert took_s < 10
    service.start()
    eventually("it does not lag", lambda: service.admin.GetInfo(admin.GetInfoRequest()).lag == 0)
    assert service.metric("sagaproof_messages_duplicate_total") == 0


def test_a_flood_waits_in_kafka_and_not_in_memory_and_is_all_handled(service: ServiceProcess) -> None:
    stall = admin.Fault(point="before-transaction", action=admin.FaultAction.FAULT_ACTION_STALL, stall_ms=2000)
    service.admin.InjectFault(admin.InjectFaultRequest(fault=stall), timeout=5)
    order_ids = [str(uuid4()) for _ in range(3000)]
    order_created(bootstrap(service), *order_ids)
    eventually("all are handled", lambda: service.metric("sagaproof_messages_handled_total") >= 3001, 60)
    product = service.inventory.GetProduct(api.GetProductRequest(product_id="product-1"), timeout=5).product
    assert (product.available, product.reserved) == (0, 100)
    assert len({key for _, key in published(bootstrap(service), 3000)}) == 3000


@pytest.mark.parametrize("point", ["before-transaction", "after-commit", "amid-publish", "before-mark"])
def test_a_service_that_is_killed_twice_in_a_row_publishes_every_event_under_one_id(
    service: ServiceProcess, point: str
) -> None:
    order_ids: list[str] = []
    kill = admin.Fault(point=point, action=admin.FaultAction.FAULT_ACTION_KILL, message_type=CREATED)
    for _ in range(2):
        service.admin.InjectFault(admin.InjectFaultRequest(fault=kill), timeout=5, wait_for_ready=True)
        more = [str(uuid4()) for _ in range(5)]
        order_ids += more
        order_created(bootstrap(service), *more)
        eventually("it was killed", lambda: service.exit_code() is not None)
        service.start()
    eventually("all are reserved", lambda: all(reservation(service, order_id) == "reserved" for order_id in order_ids))
    product = service.inventory.GetProduct(api.GetProductRequest(product_id="product-1"), timeout=5).product
    assert (product.available, product.reserved) == (90, 10)
    events = published(bootstrap(service), 10)
    assert len(set(events)) == 10, "the same event may be published again, but under the same id"
    assert sorted({order_id for _, order_id in events}) == sorted(order_ids)


def test_a_broker_that_goes_away_makes_a_service_unready_but_not_dead_and_nothing_is_lost(
    service: ServiceProcess, other_kafka: RunningBroker
) -> None:
    other_kafka.kill()
    eventually("it is not ready", lambda: service.get("/ready") == 503)
    assert service.get("/health") == 200
    assert "broker" in service.admin.GetInfo(admin.GetInfoRequest(), timeout=10).not_ready_because
    request = api.RestockRequest(request_id="while-away", product_id="product-1", quantity=1)
    assert service.inventory.Restock(request, timeout=10).product.available == 101  # it is committed, not yet sent
    other_kafka.start()
    eventually("it is ready", lambda: service.get("/ready") == 200, 30)
    assert [key for _, key in published(bootstrap(service), 1)] == ["product-1"]


def test_an_instance_that_is_fenced_once_joins_again_and_goes_on(service: ServiceProcess) -> None:
    """As by a commit of its own that was under way while the broker was away."""
    static = {"group.id": "inventory", "group.instance.id": "inventory-0"}
    takes_its_name = Consumer({"bootstrap.servers": bootstrap(service), **static})
    takes_its_name.subscribe(["orders"])
    try:
        eventually(
            "it was fenced",
            lambda: takes_its_name.poll(0.1) is None and "joining the group again" in service.log.read_text(),
        )
    finally:
        takes_its_name.close()
    order_created(bootstrap(service), order_id := str(uuid4()))
    eventually("the order is reserved", lambda: reservation(service, order_id) == "reserved", 30)
    assert service.exit_code() is None


def test_an_instance_whose_name_another_takes_ends_by_itself(service: ServiceProcess, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = ServiceProcess(tmp_path / "other", bootstrap(service))
    other.start()
    assert eventually("the first one has ended", service.exit_code, 30) == 1
    assert "fenced" in service.log.read_text().lower()
    assert other.exit_code() is None
    other.close()


def test_a_port_that_is_taken_is_said_in_one_line(shared: ServiceProcess, kafka: RunningBroker, tmp_path: Path) -> None:
    second = ServiceProcess(tmp_path, kafka.bootstrap_servers, GRPC_PORT=str(shared.grpc_port))
    second.launch()
    assert eventually("it has ended", second.exit_code) == 1
    assert f"is another process on port {shared.grpc_port}" in second.log.read_text().splitlines()[-1]


def test_a_wrong_setting_is_said_in_one_line(kafka: RunningBroker, tmp_path: Path) -> None:
    second = ServiceProcess(tmp_path, kafka.bootstrap_servers, GRPC_PORT="many")
    second.launch()
    assert eventually("it has ended", second.exit_code) == 1
    assert "wrong settings in the environment" in second.log.read_text()
    assert len(second.log.read_text().splitlines()) == 1


def test_a_service_that_starts_before_its_database_is_migrated_waits_for_it(
    kafka: RunningBroker, tmp_path: Path
) -> None:
    early = ServiceProcess(tmp_path, kafka.bootstrap_servers, INSTANCE="inventory-early", DATABASE_WAIT_S="60")
    early.launch(migrated=False)
    eventually("it says what it waits for", lambda: "waiting for the database" in early.log.read_text())
    early.migrate()
    eventually("the service is ready", lambda: early.get("/ready") == 200)
    early.close()


def test_a_service_that_waits_for_its_database_stops_when_it_is_asked_to(kafka: RunningBroker, tmp_path: Path) -> None:
    early = ServiceProcess(tmp_path, kafka.bootstrap_servers, DATABASE_WAIT_S="60")
    early.launch(migrated=False)
    eventually("it says what it waits for", lambda: "waiting for the database" in early.log.read_text())
    exit_code, took_s = early.terminate()
    assert (exit_code, took_s < 3) == (0, True)


def test_clients_are_asked_to_connect_anew_once_a_connection_has_its_age(kafka: RunningBroker, tmp_path: Path) -> None:
    given = {"INSTANCE": "inventory-aging", "GRPC_CONNECTION_AGE_S": "1"}
    aging = ServiceProcess(tmp_path, kafka.bootstrap_servers, **given)
    aging.start()
    changes: list[grpc.ChannelConnectivity] = []
    aging.channel.subscribe(changes.append, try_to_connect=True)
    eventually("it was connected", lambda: grpc.ChannelConnectivity.READY in changes)
    eventually("it was asked to go", lambda: changes[-1] is grpc.ChannelConnectivity.IDLE)
    assert [product.product_id for product in aging.inventory.ListProducts(api.ListProductsRequest()).products]
    aging.close()


def test_faults_are_refused_where_they_are_not_allowed(kafka: RunningBroker, tmp_path: Path) -> None:
    careful = ServiceProcess(tmp_path, kafka.bootstrap_servers, FAULTS="0", INSTANCE="inventory-careful")
    careful.start()
    kill = admin.Fault(point="after-commit", action=admin.FaultAction.FAULT_ACTION_KILL)
    asked = admin.InjectFaultRequest(fault=kill)
    assert refused(careful.admin.InjectFault, asked) == grpc.StatusCode.PERMISSION_DENIED
    careful.close()
