"""/orders, /sagas, /saga, /dashboard and /events: filters, pages, documents, and wrong parameters."""

from __future__ import annotations

import uuid
from typing import Any, get_args

import pytest
from shop.common.v1 import common_pb2
from shop.inventory.v1.events_pb2 import StockReplenished
from shop.order.v1.events_pb2 import OrderCreated
from shop.payment.v1.events_pb2 import PaymentRefunded
from shop.shipping.v1.events_pb2 import DeliveryProgressed
from shop.status.v1 import dashboard_pb2, lists_pb2

from gateway.routes import listing
from gateway.tests.conftest import Stack, running
from gateway.tests.reads_double import CANCELLED, COMPLETED, at

pytestmark = pytest.mark.anyio
ORDER_ID = "0190c0de-0000-7000-8000-000000000001"


async def get(stack: Stack, path: str, **parameters: Any) -> Any:
    answer = await stack.http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_orders_come_newest_first_and_page_by_page(stack: Stack) -> None:
    ids = [stack.status.list_order(**COMPLETED).order_id for _ in range(5)]
    seen: list[str] = []
    page = await get(stack, "/orders", limit=2)
    while page["nextCursor"]:
        seen += [item["orderId"] for item in page["items"]]
        stack.status.list_order()  # one that came in meanwhile moves nothing
        page = await get(stack, "/orders", limit=2, cursor=page["nextCursor"])
    assert [*seen, *(item["orderId"] for item in page["items"])] == ids[::-1]


async def test_an_order_in_a_list_is_short(stack: Stack) -> None:
    item = common_pb2.OrderItem(product_id="product-1", quantity=1)
    order = stack.status.list_order(**CANCELLED, items=[item], seq=2)
    assert (await get(stack, "/orders"))["items"] == [
        {
            "orderId": order.order_id,
            "userId": "user-1",
            "status": "CANCELLED",
            "reason": "OUT_OF_STOCK",
            "reasonDetail": "product-1: 2 wanted, 1 available",
            "items": [{"productId": "product-1", "quantity": 1, "unitPrice": None}],
            "total": None,
            "delivery": None,
            "createdAt": "2026-01-01T12:00:00Z",
            "updatedAt": "2026-01-01T12:00:00.005Z",
            "seq": 2,
        }
    ]
    stack.status.list_order(**COMPLETED)
    newest = (await get(stack, "/orders", limit=1))["items"][0]
    assert (newest["total"], newest["delivery"]) == ({"amountMinor": 2999, "currency": "USD"}, "IN_TRANSIT")


@pytest.mark.parametrize("path", ["/orders", "/sagas"])
async def test_filters_reach_the_read_model(stack: Stack, path: str) -> None:
    await get(stack, path, userId="ada", status="CANCELLED", reason="TIMED_OUT")
    await get(stack, path, status="OPEN")
    await get(stack, path, status="ENDED")
    await get(stack, path)
    assert stack.status.asked == [
        lists_pb2.OrderFilter(
            user_id="ada", status=common_pb2.ORDER_STATUS_CANCELLED, reason=common_pb2.REASON_TIMED_OUT
        ),
        lists_pb2.OrderFilter(phase=lists_pb2.PHASE_OPEN),
        lists_pb2.OrderFilter(phase=lists_pb2.PHASE_ENDED),
        lists_pb2.OrderFilter(),
    ]


def test_every_status_and_every_reason_can_be_asked_for() -> None:
    statuses = {name.removeprefix("ORDER_STATUS_") for name in common_pb2.OrderStatus.keys()}  # noqa: SIM118
    reasons = {name.removeprefix("REASON_") for name in common_pb2.Reason.keys()}  # noqa: SIM118
    assert set(get_args(listing.Status)) == (statuses - {"UNSPECIFIED"}) | {"OPEN", "ENDED"}
    assert set(get_args(listing.Reason)) == reasons - {"UNSPECIFIED"}


async def test_a_saga_shows_its_steps_with_their_times(stack: Stack) -> None:
    order = stack.status.list_order(status=common_pb2.ORDER_STATUS_CANCELLED)
    assert (await get(stack, "/sagas"))["items"] == [
        {
            "orderId": order.order_id,
            "userId": "user-1",
            "status": "CANCELLED",
            "reason": None,
            "reasonDetail": None,
            "startedAt": "2026-01-01T12:00:00Z",
            "durationMs": 1000.25,
            "steps": [
                {
                    "type": "OrderCreated",
                    "service": "order",
                    "time": "2026-01-01T12:00:00Z",
                    "sincePreviousMs": 0,
                    "compensation": False,
                    "detail": None,
                },
                {
                    "type": "PaymentFailed",
                    "service": "payment",
                    "time": "2026-01-01T12:00:00.005Z",
                    "sincePreviousMs": 4.5,
                    "compensation": True,
                    "detail": "too little",
                },
            ],
        }
    ]
    stack.status.list_order()
    assert (await get(stack, "/sagas", limit=1))["items"][0]["durationMs"] is None


async def test_the_saga_is_a_table_with_its_mode_and_topics(stack: Stack) -> None:
    assert await get(stack, "/saga") == {
        "mode": "choreographed",
        "rows": [
            {
                "participant": "payment",
                "event": "InventoryConfirmed",
                "topic": "inventory",
                "command": "ChargePayment",
                "answers": ["PaymentCompleted", "PaymentFailed"],
                "commandTopic": None,
            }
        ],
        "topics": [{"name": "inventory", "partitions": 6}],
    }


async def test_the_dashboard_has_every_figure(stack: Stack) -> None:
    assert (await get(stack, "/dashboard"))["latency"] is None
    stack.status.dashboard = dashboard_pb2.Dashboard(
        accepted=9,
        completed=4,
        cancelled=2,
        reasons=[dashboard_pb2.ReasonCount(reason=common_pb2.REASON_TIMED_OUT, orders=2)],
        open=[dashboard_pb2.StatusCount(status=common_pb2.ORDER_STATUS_COMPENSATING, orders=3)],
        open_is_partial=True,
        revenue=[common_pb2.Money(amount_minor=11996, currency="USD")],
        latency=dashboard_pb2.Latency(orders=6, p50_ms=18.5, p95_ms=22.2, p99_ms=26.6),
        minutes=[dashboard_pb2.Minute(begins_at=at(0), accepted=9, completed=4, cancelled=2)],
    )
    assert await get(stack, "/dashboard") == {
        "accepted": 9,
        "completed": 4,
        "cancelled": 2,
        "cancelledByReason": {"TIMED_OUT": 2},
        "open": {"COMPENSATING": 3},
        "openIsPartial": True,
        "revenue": [{"amountMinor": 11996, "currency": "USD"}],
        "latency": {"orders": 6, "p50Ms": 18.5, "p95Ms": 22.2, "p99Ms": 26.6},
        "minutes": [{"beginsAt": "2026-01-01T12:00:00Z", "accepted": 9, "completed": 4, "cancelled": 2}],
    }


async def test_an_event_is_shown_decoded_with_amounts_as_numbers(stack: Stack) -> None:
    order = common_pb2.Order(order_id=ORDER_ID, user_id="ada", items=[common_pb2.OrderItem(product_id="p", quantity=2)])
    stored = stack.status.store(PaymentRefunded(order=order, amount=common_pb2.Money(currency="USD")), ORDER_ID)
    assert await get(stack, "/events") == {
        "items": [
            {
                "id": stored.id,
                "type": "PaymentRefunded",
                "fullType": "shop.payment.v1.PaymentRefunded",
                "time": "2026-01-01T12:00:00Z",
                "service": "payment",
                "topic": "orders",
                "key": ORDER_ID,
                "orderId": ORDER_ID,
                "causationId": "cause",
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                "data": {
                    "order": {
                        "orderId": ORDER_ID,
                        "userId": "ada",
                        "items": [{"productId": "p", "quantity": 2}],
                        "deliveryAddress": "",
                    },
                    "amount": {"amountMinor": 0, "currency": "USD"},
                },
            }
        ],
        "nextCursor": None,
    }


async def test_enums_are_bare_names_bytes_base64_and_what_is_of_no_order_has_no_order_id(stack: Stack) -> None:
    order = common_pb2.Order(order_id=ORDER_ID)
    stack.status.store(StockReplenished(product_id="product-1", quantity=7), "product-1")
    stack.status.store(DeliveryProgressed(order=order, status=common_pb2.DELIVERY_STATUS_DELIVERED), ORDER_ID)
    stack.status.store(OrderCreated(order=order, request_hash=b"\x01\x02"), ORDER_ID)
    created, progressed, replenished = (await get(stack, "/events"))["items"]
    assert created["data"]["requestHash"] == "AQI="
    assert progressed["data"]["status"] == "DELIVERED"
    assert (replenished["orderId"], replenished["key"], replenished["data"]["quantity"]) == (None, "product-1", 7)


async def test_a_type_that_the_gateway_does_not_know_is_shown_without_its_data(stack: Stack) -> None:
    stack.status.store(lists_pb2.Place(position="x"), "k")
    event = (await get(stack, "/events"))["items"][0]
    assert (event["type"], event["data"], event["orderId"]) == ("Place", None, None)


async def test_events_of_one_order_come_in_order_and_page(stack: Stack) -> None:
    for order_id in (ORDER_ID, str(uuid.uuid4()), ORDER_ID, ORDER_ID):
        stack.status.store(OrderCreated(order=common_pb2.Order(order_id=order_id)), order_id)
    first = await get(stack, "/events", orderId=ORDER_ID.upper(), type="OrderCreated", limit=2)
    second = await get(stack, "/events", orderId=ORDER_ID, limit=2, cursor=first["nextCursor"])
    ids = [event.id for event in stack.status.log if event.key == ORDER_ID]
    assert [event["id"] for event in first["items"] + second["items"]] == ids
    assert second["nextCursor"] is None
    assert [event["id"] for event in (await get(stack, "/events"))["items"]] == [
        event.id for event in reversed(stack.status.log)
    ]


@pytest.mark.parametrize(
    ("path", "field", "named"),
    [
        ("/orders?status=DONE", "status", "AWAITING_PAYMENT"),
        ("/sagas?status=open", "status", "OPEN"),
        ("/orders?reason=WHIM", "reason", "OUT_OF_STOCK"),
        ("/orders?userId=", "userId", ""),
        ("/orders?limit=0", "limit", ""),
        ("/orders?cursor=x", "cursor", ""),
        ("/sagas?cursor=x", "cursor", ""),
        ("/events?cursor=x", "cursor", ""),
        ("/events?orderId=7", "orderId", "UUID"),
        ("/events?type=OrderLost", "type", "OrderCreated"),
        ("/events?type=StockReserved", "type", "StockReplenished"),
        ("/events/stream?type=OrderLost", "type", "OrderCreated"),
        ("/events/stream?orderId=7", "orderId", "UUID"),
    ],
)
async def test_a_wrong_parameter_is_422_with_its_name_and_what_is_allowed(
    stack: Stack, path: str, field: str, named: str
) -> None:
    answer = await stack.http.get(path)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert named in error["message"]


async def test_one_lists_cursor_is_none_of_anothers(stack: Stack) -> None:
    for _ in range(2):
        stack.status.list_order()
    cursor = (await get(stack, "/orders", limit=1))["nextCursor"]
    assert (await stack.http.get("/events", params={"cursor": cursor})).status_code == 422
    assert (await stack.http.get("/sagas", params={"cursor": cursor})).status_code == 200


@pytest.mark.parametrize("path", ["/orders", "/sagas", "/saga", "/dashboard", "/events"])
async def test_without_status_they_are_503(path: str) -> None:
    async with running(read_deadline_s=0.3) as stack:
        await stack.status_service.stop()
        answer = await stack.http.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
