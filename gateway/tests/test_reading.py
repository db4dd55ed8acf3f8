"""GET /status, products, health, readiness, metrics."""

from __future__ import annotations

import uuid

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from shop.common.v1 import common_pb2
from shop.status.v1 import service_pb2

from gateway.tests.conftest import Stack, running
from gateway.tests.documents import document

pytestmark = pytest.mark.anyio


async def test_a_status_document_has_every_field_of_the_contract(stack: Stack) -> None:
    money = common_pb2.Money(amount_minor=5998, currency="USD")
    stack.status.documents["0198f0a2-7c1d-7e55-9d0b-3f1c2a5b6d7e"] = document(
        "0198f0a2-7c1d-7e55-9d0b-3f1c2a5b6d7e",
        7,
        status=common_pb2.ORDER_STATUS_CANCELLED,
        reason=common_pb2.REASON_SHIPMENT_FAILED,
        reason_detail="PARCEL_TOO_LARGE",
        payment=service_pb2.Payment(status=service_pb2.PAYMENT_STATUS_REFUNDED, amount=money, refunded=money),
        delivery=service_pb2.Delivery(
            status=common_pb2.DELIVERY_STATUS_IN_TRANSIT, tracking_number="TRK-1", address="1 Main Street"
        ),
        timeline=[
            service_pb2.TimelineEntry(
                type="PaymentFailed", time=Timestamp(seconds=1_767_268_800), service="payment", detail="too little"
            )
        ],
    )
    answer = await stack.http.get("/status/0198F0A2-7c1d-7e55-9d0b-3f1c2a5b6d7e")
    assert answer.status_code == 200
    assert answer.json() == {
        "orderId": "0198f0a2-7c1d-7e55-9d0b-3f1c2a5b6d7e",
        "userId": "user-1",
        "status": "CANCELLED",
        "reason": "SHIPMENT_FAILED",
        "reasonDetail": "PARCEL_TOO_LARGE",
        "items": [
            {"productId": "product-1", "quantity": 2, "unitPrice": {"amountMinor": 2999, "currency": "USD"}},
        ],
        "total": {"amountMinor": 5998, "currency": "USD"},
        "payment": {
            "status": "REFUNDED",
            "amount": {"amountMinor": 5998, "currency": "USD"},
            "refunded": {"amountMinor": 5998, "currency": "USD"},
        },
        "delivery": {"status": "IN_TRANSIT", "trackingNumber": "TRK-1", "address": "1 Main Street"},
        "timeline": [
            {"type": "PaymentFailed", "time": "2026-01-01T12:00:00Z", "service": "payment", "detail": "too little"}
        ],
        "seq": 7,
    }


async def test_an_accepted_order_that_status_has_not_seen_is_pending_with_seq_0_and_nothing_more(stack: Stack) -> None:
    order_id = await stack.place(deliveryAddress="1 Main Street")
    answer = await stack.http.get(f"/status/{order_id}")
    assert answer.status_code == 200
    assert answer.json() == {
        "orderId": order_id,
        "userId": "user-1",
        "status": "PENDING",
        "reason": None,
        "reasonDetail": None,
        "items": [{"productId": "product-1", "quantity": 2, "unitPrice": None}],
        "total": None,
        "payment": {"status": "PENDING", "amount": None, "refunded": None},
        "delivery": {"status": "PENDING", "trackingNumber": None, "address": "1 Main Street"},
        "timeline": [],
        "seq": 0,
    }


@pytest.mark.parametrize(
    "order_id", ["0b0f5d3c-7f4e-4d52-9c1a-6f1f6d1b2a77", "nonsense", "1", "%F0%9F%98%80", "a" * 36]
)
async def test_an_order_that_was_never_accepted_is_not_found(stack: Stack, order_id: str) -> None:
    for path in (f"/status/{order_id}", f"/status/{order_id}/stream"):
        answer = await stack.http.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:sagaproof:problem:unknown-order")


async def test_a_status_that_this_gateway_does_not_know_yet_is_shown_as_unknown(stack: Stack) -> None:
    order_id = str(uuid.uuid4())
    stack.status.documents[order_id] = document(order_id, 1, status=99)
    assert (await stack.http.get(f"/status/{order_id}")).json()["status"] == "UNKNOWN_99"


async def test_with_status_down_the_answer_is_503_and_not_404() -> None:
    async with running(read_deadline_s=0.3) as stack:
        order_id = await stack.place()
        await stack.status_service.stop()
        answer = await stack.http.get(f"/status/{order_id}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_read_goes_on_once_the_service_is_back(stack: Stack) -> None:
    await stack.http.get("/products")
    await stack.inventory_service.stop()
    await stack.inventory_service.start()
    assert (await stack.http.get("/products")).status_code == 200


async def test_products_are_listed_and_read_one_by_one(stack: Stack) -> None:
    product = {
        "productId": "product-1",
        "name": "Premium Widget",
        "price": {"amountMinor": 2999, "currency": "USD"},
        "available": 98,
        "reserved": 2,
    }
    assert (await stack.http.get("/products")).json() == [product]
    assert (await stack.http.get("/products?text=Widget&inStock=false")).json() == [product]
    assert (await stack.http.get("/products?text=Gadget")).json() == []
    assert (await stack.http.get("/products?inStock=true")).json() == []
    refused = await stack.http.get("/products?inStock=maybe")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "inStock")
    assert (await stack.http.get("/products/product-1")).json() == product


async def test_an_unknown_product_is_not_found_and_an_impossible_id_invalid(stack: Stack) -> None:
    unknown = await stack.http.get("/products/product-9")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:sagaproof:problem:unknown-product")
    invalid = await stack.http.get("/products/a%20b")
    assert (invalid.status_code, invalid.json()["errors"][0]["field"]) == (422, "productId")


async def test_ready_tells_of_each_service(stack: Stack) -> None:
    ready = await stack.http.get("/ready")
    assert (ready.status_code, ready.json()["services"]) == (
        200,
        {"order": "SERVING", "inventory": "SERVING", "status": "SERVING"},
    )
    stack.inventory_service.health.serving = False
    await stack.status_service.stop()
    not_ready = await stack.http.get("/ready")
    assert not_ready.status_code == 503
    assert not_ready.headers["content-type"] == "application/problem+json"
    assert not_ready.json()["services"] == {"order": "SERVING", "inventory": "NOT_SERVING", "status": "UNAVAILABLE"}
    assert (await stack.http.get("/health")).status_code == 200


async def test_requests_are_counted_by_route_and_not_by_path(stack: Stack) -> None:
    await stack.place()
    for _ in range(3):
        await stack.http.get(f"/status/{uuid.uuid4()}")
        await stack.http.get(f"/{uuid.uuid4()}")
    requests = "sagaproof_gateway_requests_total"
    assert await stack.metric(requests + '{method="POST",route="/order",status="202"}') == 1
    assert await stack.metric(requests + '{method="GET",route="/status/{orderId}",status="404"}') == 3
    assert await stack.metric(requests + '{method="any",route="unmatched",status="404"}') == 3
    assert await stack.metric('sagaproof_gateway_request_seconds_count{route="/order"}') == 1


async def test_the_documentation_asks_nothing_of_any_third_party(stack: Stack) -> None:
    page = await stack.http.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "//" not in page.text
    for path in (
        "/docs/assets/swagger-ui.css",
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/assets/favicon.png",
        "/docs/start.js",
    ):
        assert path in page.text
        asset: httpx.Response = await stack.http.get(path)
        assert asset.status_code == 200
