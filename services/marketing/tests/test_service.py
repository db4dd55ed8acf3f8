"""The real service on a real broker: what orders say comes out as figures; a Rebuild finds and heals what is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple
from uuid import uuid4

import grpc
import pytest
from confluent_kafka import Producer
from google.protobuf.message import Message as Proto
from shop.admin.v1 import service_pb2 as admin
from shop.common.v1.common_pb2 import Order, Reason
from shop.marketing.v1 import service_pb2 as api
from shop.marketing.v1.service_pb2_grpc import MarketingServiceStub
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted, OrderCreated
from shop.payment.v1.events_pb2 import PaymentRefunded

from sagaproof.kafka import RunningBroker, broker
from services import saga
from services.engine.messages import encode_headers
from services.engine.tests.process import ServiceProcess, eventually
from services.tests.shop import order, priced, usd
from services.topics import TOPICS

DAY_US = 86_400_000_000
NEW_YEAR_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z

pytestmark = pytest.mark.integration


class Told(NamedTuple):
    event: Proto
    order_id: str
    time_us: int


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka"), topics=TOPICS) as running:
        yield running


@pytest.fixture(scope="module")
def marketing(kafka: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """It has folded `HISTORY`, each record twice, refunds before their orders' endings or not, as they came."""
    folder = tmp_path_factory.mktemp("marketing")
    service = ServiceProcess(folder, kafka.bootstrap_servers, "marketing", LOG_LEVEL="WARNING")
    tell(kafka, [*HISTORY, *HISTORY])
    service.start()
    eventually("everything is folded", lambda: service.admin.GetInfo(admin.GetInfoRequest(), timeout=5).lag == 0, 30)
    yield service
    service.close()


def bought(user_id: str, pieces: Mapping[str, int]) -> Order:
    return priced(order(pieces, str(uuid4()), user_id))


def history() -> Iterator[Told]:
    """ada buys on two days, bob and cy once and for the same; one order is cancelled, one more is refunded."""
    completed = [
        (bought("ada", {"product-1": 2}), NEW_YEAR_US),
        (bought("ada", {"product-2": 1}), NEW_YEAR_US + DAY_US),
        (bought("cy", {"product-1": 1, "product-3": 1}), NEW_YEAR_US + DAY_US),
        (bought("bob", {"product-1": 1, "product-3": 1}), NEW_YEAR_US + 2 * DAY_US - 1),
    ]
    for known, time_us in completed:
        yield Told(OrderCreated(order=known), known.order_id, time_us)
        yield Told(OrderCompleted(order=known), known.order_id, time_us)
    none_left, too_large = order({"product-1": 999}, str(uuid4()), "dan"), bought("dan", {"product-1": 21})
    out_of_stock = OrderCancelled(order=none_left, reason=Reason.REASON_OUT_OF_STOCK)
    yield Told(out_of_stock, none_left.order_id, NEW_YEAR_US)
    failed = OrderCancelled(order=too_large, reason=Reason.REASON_SHIPMENT_FAILED)
    yield Told(failed, too_large.order_id, NEW_YEAR_US)
    refunded = PaymentRefunded(order=too_large, amount=too_large.total)
    yield Told(refunded, too_large.order_id, NEW_YEAR_US + DAY_US)
    yield Told(PaymentRefunded(order=none_left, amount=usd(0)), none_left.order_id, NEW_YEAR_US + DAY_US)


HISTORY = list(history())
ADA_MINOR, BOB_MINOR = 2 * 2999 + 4999, 2999 + 9999
REVENUE_MINOR = ADA_MINOR + 2 * BOB_MINOR


def tell(kafka: RunningBroker, said: Sequence[Told]) -> None:
    """Publishes these, each under an id of its own."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for event, order_id, time_us in said:
        headers = encode_headers(
            message_id=str(uuid4()),
            type_name=event.DESCRIPTOR.full_name,
            source="test",
            time_us=time_us,
            traceparent="",
            cause_id="c",
        )
        producer.produce(
            saga.TOPIC_OF[type(event)], event.SerializeToString(), order_id.encode(), headers=list(headers)
        )
    assert producer.flush(30) == 0


def asked(marketing: ServiceProcess) -> MarketingServiceStub:
    return MarketingServiceStub(marketing.channel)


def test_the_overview_adds_up_whatever_came_twice(marketing: ServiceProcess) -> None:
    overview = asked(marketing).GetOverview(api.GetOverviewRequest(), timeout=5)
    assert overview == api.GetOverviewResponse(
        completed=4,
        cancelled=2,
        cancelled_by_reason=[
            api.CancelledOrders(reason=Reason.REASON_OUT_OF_STOCK, orders=1),
            api.CancelledOrders(reason=Reason.REASON_SHIPMENT_FAILED, orders=1),
        ],
        customers=3,
        pieces=7,
        revenue=usd(REVENUE_MINOR),
        refunded=usd(21 * 2999),
        average_order_value=usd(round(REVENUE_MINOR / 4)),
        currencies=["USD"],
    )
    elsewhere = asked(marketing).GetOverview(api.GetOverviewRequest(currency="EUR"), timeout=5)
    assert (elsewhere.completed, elsewhere.revenue.currency, elsewhere.revenue.amount_minor) == (0, "EUR", 0)


def test_the_best_customers_come_first_page_by_page(marketing: ServiceProcess) -> None:
    values: list[tuple[str, int, int]] = []
    request, pages = api.ListLifetimeValuesRequest(limit=1), 0
    while True:
        page = asked(marketing).ListLifetimeValues(request, timeout=5)
        values += [(each.user_id, each.orders, each.value.amount_minor) for each in page.values]
        pages += 1
        if not page.HasField("next"):
            break
        request.after.CopyFrom(page.next)
    assert values == [("bob", 1, BOB_MINOR), ("cy", 1, BOB_MINOR), ("ada", 2, ADA_MINOR)]
    assert pages == 3


def test_the_most_bought_products_come_first(marketing: ServiceProcess) -> None:
    products = asked(marketing).ListPopularity(api.ListPopularityRequest(), timeout=5).products
    assert [(each.product_id, each.pieces, each.orders, each.revenue.amount_minor) for each in products] == [
        ("product-1", 4, 3, 4 * 2999),
        ("product-3", 2, 2, 2 * 9999),
        ("product-2", 1, 1, 4999),
    ]
    assert products[0].name == "Premium Widget"


def test_each_day_has_what_ended_on_it(marketing: ServiceProcess) -> None:
    days = asked(marketing).ListDailySales(api.ListDailySalesRequest(), timeout=5).days
    assert list(days) == [
        api.DailySales(day="2026-01-01", orders=1, pieces=2, revenue=usd(2 * 2999), refunded=usd(0), cancelled=2),
        api.DailySales(
            day="2026-01-02", orders=3, pieces=5, revenue=usd(4999 + 2 * BOB_MINOR), refunded=usd(21 * 2999)
        ),
    ]
    second = api.ListDailySalesRequest(first_day="2026-01-02", last_day="2026-01-02")
    assert [day.day for day in asked(marketing).ListDailySales(second, timeout=5).days] == ["2026-01-02"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (api.ListLifetimeValuesRequest(limit=501), "limit"),
        (api.ListLifetimeValuesRequest(currency="dollars"), "currency"),
        (api.ListLifetimeValuesRequest(after=api.LifetimeValuePosition(amount_minor=-1)), "after.amount_minor"),
    ],
    ids=["limit", "currency", "after"],
)
def test_a_wrong_request_is_refused_with_the_field(
    marketing: ServiceProcess, request_: api.ListLifetimeValuesRequest, field: str
) -> None:
    with pytest.raises(grpc.RpcError, match=field) as raised:
        asked(marketing).ListLifetimeValues(request_, timeout=5)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def rebuild(marketing: ServiceProcess, repair: bool = False) -> admin.RebuildResponse:
    return marketing.admin.Rebuild(admin.RebuildRequest(repair=repair), timeout=60)


def test_a_rebuild_finds_what_was_broken_by_hand_and_heals_it_with_its_place_in_the_list(
    marketing: ServiceProcess,
) -> None:
    before = {entity: row for entity, *row in rows(marketing, "entities")}
    listed = rows(marketing, "entity_index")
    assert (rebuild(marketing).entities, rebuild(marketing).different_count) == (len(before), 0)
    with closing(sqlite3.connect(marketing.database)) as database, database:
        database.execute("UPDATE entities SET state = '{}' WHERE entity = 'customer/ada'")
        database.execute("UPDATE entities SET version = 7 WHERE entity = 'day/2026-01-01'")
        database.execute("DELETE FROM entities WHERE entity = 'product/product-1'")
        database.execute('INSERT INTO entities VALUES (\'customer/eve\', 1, \'{"sales":{"USD":{"orders":1}}}\')')
        database.execute("DELETE FROM entity_index WHERE entity = 'customer/ada'")
        database.execute("INSERT INTO entity_index VALUES ('lifetime', 'USD', ?, 'customer/eve')", (f"{2**63 - 1}",))
    broken = ["customer/ada", "customer/eve", "day/2026-01-01", "product/product-1"]
    assert list(rebuild(marketing).different) == broken
    healed = rebuild(marketing, repair=True)
    assert (list(healed.different), healed.repaired) == (broken, True)
    assert {entity: row for entity, *row in rows(marketing, "entities")} == before
    assert rows(marketing, "entity_index") == listed
    assert rebuild(marketing).different_count == 0


def rows(marketing: ServiceProcess, table: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(marketing.database)) as database:
        return sorted(database.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608 - a table of ours
