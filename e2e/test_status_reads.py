"""Lists of orders and sagas, the dashboard and the event log, after real orders and while they run."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.conftest import PRICE_MINOR
from e2e.shop import VARIANTS, Shop, eventually
from e2e.test_reads import SEEN_WITHIN_S, get, pages, usd

TOLD_WITHIN_S = 30.0

pytestmark = [pytest.mark.e2e, pytest.mark.variants(*VARIANTS)]


def told(what: str, probe: Callable[[], Any]) -> Any:
    return eventually(what, probe, SEEN_WITHIN_S)


@contextmanager
def following(shop: Shop, path: str, **headers: str) -> Generator[Iterator[dict[str, str]]]:
    """The events of a stream of Server-Sent Events, each as its fields."""
    with shop.http.stream("GET", path, headers=headers, timeout=TOLD_WITHIN_S) as response:
        assert response.status_code == 200

        def each() -> Iterator[dict[str, str]]:
            fields: dict[str, str] = {}
            for line in response.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    yield fields
                    fields = {}
                else:
                    fields = {}

        yield each()


def test_orders_are_listed_newest_first_by_user_and_by_how_they_ended(shop: Shop, product: str) -> None:
    user = f"lists-{product}"
    completed = [shop.order((product, 1), user=user) for _ in range(3)]
    cancelled = shop.order((product, 21), user=user)
    shop.settled([*completed, cancelled])
    told("all are listed as ended", lambda: len(pages(shop, "/orders", 2, userId=user, status="ENDED")) == 4)

    listed = pages(shop, "/orders", 2, userId=user)
    assert [each["orderId"] for each in listed[1:]] == completed[::-1]
    assert (listed[0]["orderId"], listed[0]["reason"]) == (cancelled, "SHIPMENT_FAILED")
    assert listed[1]["total"] == usd(PRICE_MINOR)
    assert [each["createdAt"] for each in listed] == sorted((each["createdAt"] for each in listed), reverse=True)
    found = pages(shop, "/orders", 500, status="CANCELLED", reason="SHIPMENT_FAILED")
    assert cancelled in [each["orderId"] for each in found]
    assert completed[0] in [each["orderId"] for each in pages(shop, "/orders", 500, status="COMPLETED")]
    assert pages(shop, "/orders", 2, userId=user, status="OPEN") == []


def test_a_saga_tells_each_step_and_what_was_undone(shop: Shop, product: str) -> None:
    order_id = shop.order((product, 21), user=f"saga-{product}")
    shop.settled([order_id])

    def whole() -> Any:
        (saga,) = get(shop, "/sagas", userId=f"saga-{product}")["items"]
        return saga if any(step["type"] == "OrderCancelled" for step in saga["steps"]) else None

    saga = told("the saga has ended", whole)
    assert (saga["orderId"], saga["status"], saga["reason"]) == (order_id, "CANCELLED", "SHIPMENT_FAILED")
    undone = {step["type"] for step in saga["steps"] if step["compensation"]}
    done = {step["type"] for step in saga["steps"]} - undone
    assert undone == {"ShipmentFailed", "InventoryReleased", "PaymentRefunded"}
    assert done == {"OrderCreated", "InventoryConfirmed", "PaymentCompleted", "OrderCancelled"}
    assert saga["durationMs"] == pytest.approx(sum(step["sincePreviousMs"] for step in saga["steps"]))


def test_the_saga_table_is_told_with_its_mode_and_topics(shop: Shop) -> None:
    table = get(shop, "/saga")
    assert table["mode"] == shop.mode
    (charge,) = [row for row in table["rows"] if row["command"] == "ChargePayment"]
    assert (charge["participant"], charge["event"], charge["topic"]) == ("payment", "InventoryConfirmed", "inventory")
    assert charge["answers"] == ["PaymentCompleted", "PaymentFailed"]
    assert charge["commandTopic"] == ("payment.commands" if shop.mode == "orchestrated" else None)
    assert {"orders", "inventory", "payment", "shipping", "notification"} <= {each["name"] for each in table["topics"]}


def test_the_dashboard_counts_every_order_once_and_is_told_live(shop: Shop, product: str) -> None:
    with following(shop, "/dashboard/stream") as stream:
        before = json.loads(next(stream)["data"])
        shop.settled([*(shop.order((product, 2)) for _ in range(3)), shop.order((product, 21))])

        def sum_of(dashboard: dict[str, Any], name: str) -> int:
            return dashboard[name] - before[name]

        for fields in stream:
            after = json.loads(fields["data"])
            if sum_of(after, "completed") >= 3 and sum_of(after, "cancelled") >= 1:
                break
        else:
            pytest.fail("the stream ended")
    after = get(shop, "/dashboard")
    # Other tests' parcels and deadlines may still move; orders do not, since tests wait for theirs.
    assert [sum_of(after, name) for name in ("accepted", "completed", "cancelled")] == [4, 3, 1]
    assert after["cancelled"] == sum(after["cancelledByReason"].values())
    assert after["revenue"][0]["amountMinor"] - sum(each["amountMinor"] for each in before["revenue"]) == (
        3 * 2 * PRICE_MINOR
    )
    assert after["latency"]["orders"] >= 4
    assert 0 < after["latency"]["p50Ms"] <= after["latency"]["p95Ms"]
    assert sum(minute["accepted"] for minute in after["minutes"]) >= 4


def test_the_events_of_an_order_are_its_audit_trail_each_with_its_cause(shop: Shop, product: str) -> None:
    order_id = shop.order((product, 1))
    shop.settled([order_id])

    def whole() -> Any:
        trail = pages(shop, "/events", 2, orderId=order_id)
        steps = [each["data"]["status"] for each in trail if each["type"] == "DeliveryProgressed"]
        notified = sum(each["type"] == "NotificationSent" for each in trail)
        return trail if "DELIVERED" in steps and notified == 4 else None

    trail = told("the parcel is delivered and all is told", whole)
    assert [each["time"] for each in trail] == sorted(each["time"] for each in trail)
    assert len({each["id"] for each in trail}) == len(trail)
    assert {each["orderId"] for each in trail} == {order_id}
    assert {each["traceId"] for each in trail if each["type"] != "DeliveryProgressed"} == {trail[0]["traceId"]}
    by_type = {each["type"]: each for each in trail}
    assert by_type["OrderCreated"]["data"]["order"]["items"] == [{"productId": product, "quantity": 1}]
    assert by_type["PaymentCompleted"]["data"]["amount"] == usd(PRICE_MINOR)
    assert by_type["OrderCompleted"]["causationId"] == by_type["Shipped"]["id"]
    if shop.mode == "choreographed":
        assert by_type["InventoryConfirmed"]["causationId"] == by_type["OrderCreated"]["id"]
    assert [each["id"] for each in pages(shop, "/events", 50, orderId=order_id, type="Shipped")] == [
        by_type["Shipped"]["id"]
    ]


def test_all_events_are_listed_newest_first_and_by_type(shop: Shop, product: str) -> None:
    shop.restock(product, 7)

    def newest() -> Any:
        found = get(shop, "/events", type="StockReplenished", limit=1)["items"]
        return found[0] if found and found[0]["key"] == product else None

    event = told("the restock is in the log", newest)
    assert (event["data"]["productId"], event["data"]["quantity"], event["orderId"]) == (product, 7, None)
    listed = get(shop, "/events", limit=20)["items"]
    assert len(listed) > 1
    wrong = shop.http.get("/events", params={"type": "StockReserved"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "type")


def test_events_are_told_live_and_who_comes_back_misses_none(shop: Shop, product: str) -> None:
    with following(shop, "/events/stream") as stream:
        order_id = shop.order((product, 1))
        last = _until(stream, order_id, "OrderCompleted")
    with following(shop, f"/events/stream?orderId={order_id}", **{"Last-Event-ID": last}) as stream:
        _until(stream, order_id, "DeliveryProgressed")
    with following(shop, f"/events/stream?orderId={order_id}", **{"Last-Event-ID": "0"}) as stream:
        missed = [json.loads(next(stream)["data"]) for _ in range(5)]
    assert {each["orderId"] for each in missed} == {order_id}
    assert len({each["id"] for each in missed}) == 5


def _until(stream: Iterator[dict[str, str]], order_id: str, type_name: str) -> str:
    """Reads on to an order's event of this type; the id to go on from."""
    for fields in stream:
        event = json.loads(fields["data"])
        if (event.get("orderId"), event.get("type")) == (order_id, type_name):
            return fields["id"]
    raise AssertionError("the stream ended")
