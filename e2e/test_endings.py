"""Every ending of an order, as clients see it over HTTP and WebSocket, and what it leaves in stock and money."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from e2e.conftest import PRICE_MINOR, STOCK
from e2e.shop import VARIANTS, Shop, eventually

OPENING_MINOR = 100_000
RANKS = {
    "PENDING": 0,
    "AWAITING_PAYMENT": 1,
    "AWAITING_SHIPMENT": 2,
    "COMPENSATING": 3,
    "COMPLETED": 4,
    "CANCELLED": 4,
}

pytestmark = [pytest.mark.e2e, pytest.mark.variants(*VARIANTS)]


def watch(shop: Shop, order_id: str, since: int = 0) -> list[dict[str, Any]]:
    """All documents that a WebSocket client gets, until the server closes with 1000."""
    documents: list[dict[str, Any]] = []
    with connect(f"ws://127.0.0.1:{shop.port}/ws/{order_id}?since={since}") as socket:
        documents.extend(json.loads(message) for message in socket)
        assert socket.close_code == 1000
    ranks = [RANKS[document["status"]] for document in documents]
    assert ranks == sorted(ranks), "a watched status never goes back"
    seqs = [document["seq"] for document in documents]
    assert seqs == sorted(set(seqs)), "each document is newer than the last"
    return documents


def test_an_order_that_can_be_had_and_paid_is_completed_and_delivered(shop: Shop, product: str) -> None:
    order_id = shop.order((product, 2), user=f"buyer-{product}")
    last = watch(shop, order_id)[-1]
    assert last["status"] == "COMPLETED"
    assert last["reason"] is None
    assert last["total"] == {"amountMinor": 2 * PRICE_MINOR, "currency": "USD"}
    assert last["payment"]["status"] == "COMPLETED"
    assert last["delivery"]["status"] == "DELIVERED"
    assert last["delivery"]["trackingNumber"]
    shop.settled([order_id])
    assert shop.products()[product]["available"] == STOCK - 2
    assert shop.balance_minor(f"buyer-{product}") == OPENING_MINOR - 2 * PRICE_MINOR


def test_an_order_of_more_than_there_is_is_cancelled_and_takes_nothing(shop: Shop) -> None:
    available = shop.products()["product-3"]["available"]
    order_id = shop.order(("product-3", available + 1), user="wants-too-much")
    last = watch(shop, order_id)[-1]
    assert (last["status"], last["reason"]) == ("CANCELLED", "OUT_OF_STOCK")
    assert last["payment"]["status"] == "PENDING"
    assert shop.products()["product-3"] | {"name": "", "price": None} == {
        "productId": "product-3",
        "name": "",
        "price": None,
        "available": available,
        "reserved": 0,
    }
    assert shop.balance_minor("wants-too-much") == OPENING_MINOR


def test_an_order_that_the_account_does_not_cover_is_cancelled_and_its_stock_released(shop: Shop) -> None:
    shop.restock("product-3", 20)
    available = shop.products()["product-3"]["available"]
    order_id = shop.order(("product-3", 20), user="poor")
    last = watch(shop, order_id)[-1]
    assert (last["status"], last["reason"]) == ("CANCELLED", "INSUFFICIENT_FUNDS")
    assert last["payment"]["status"] == "FAILED"
    shop.settled([order_id])
    assert shop.products()["product-3"]["available"] == available
    assert shop.balance_minor("poor") == OPENING_MINOR


def test_a_parcel_that_shipping_refuses_is_cancelled_released_and_refunded(shop: Shop, product: str) -> None:
    order_id = shop.order((product, 21), user=f"bulk-{product}")
    last = watch(shop, order_id)[-1]
    assert (last["status"], last["reason"], last["reasonDetail"]) == (
        "CANCELLED",
        "SHIPMENT_FAILED",
        "PARCEL_TOO_LARGE",
    )
    shop.settled([order_id])
    refunded = eventually("the refund is seen", lambda: (shop.status(order_id) or {})["payment"]["refunded"], 10)
    assert refunded == {"amountMinor": 21 * PRICE_MINOR, "currency": "USD"}
    assert shop.products()[product]["available"] == STOCK
    assert shop.balance_minor(f"bulk-{product}") == OPENING_MINOR


def test_an_order_that_the_customer_cancels_in_time_is_cancelled_released_and_refunded(
    shop: Shop, product: str
) -> None:
    with shop.paused("shipping"):
        order_id = shop.order((product, 1), user=f"regrets-{product}")
        eventually("it is paid", lambda: (shop.status(order_id) or {})["status"] == "AWAITING_SHIPMENT", 20)
        assert shop.http.post(f"/order/{order_id}/cancel").status_code == 202
        assert shop.http.post(f"/order/{order_id}/cancel").status_code == 202
    # Both topics wait for shipping: whichever it reads first decides.
    document = shop.settled([order_id])[0]
    taken = 1 if document["status"] == "COMPLETED" else 0
    if not taken:
        assert document["reason"] == "CANCELLED_BY_CUSTOMER"
    assert shop.http.post(f"/order/{order_id}/cancel").status_code == 409
    assert shop.products()[product]["available"] == STOCK - taken
    assert shop.balance_minor(f"regrets-{product}") == OPENING_MINOR - taken * PRICE_MINOR


def test_a_cancellation_that_shipping_hears_of_first_always_wins(shop: Shop, product: str) -> None:
    with shop.paused("payment"):
        order_id = shop.order((product, 1), user=f"quick-{product}")
        assert shop.http.post(f"/order/{order_id}/cancel").status_code == 202
        eventually("it compensates", lambda: (shop.status(order_id) or {})["status"] == "COMPENSATING", 20)
    document = shop.settled([order_id])[0]
    assert (document["status"], document["reason"]) == ("CANCELLED", "CANCELLED_BY_CUSTOMER")
    assert shop.products()[product]["available"] == STOCK
    assert shop.balance_minor(f"quick-{product}") == OPENING_MINOR


def test_a_watcher_that_comes_back_with_its_seq_gets_only_what_is_newer(shop: Shop, product: str) -> None:
    order_id = shop.order((product, 1))
    documents = watch(shop, order_id)
    seen = documents[0]["seq"]
    again = watch(shop, order_id, since=seen)
    assert all(document["seq"] > seen for document in again)
    assert again[-1] == documents[-1]


def test_the_same_idempotency_key_is_the_same_order_and_another_body_is_refused(shop: Shop, product: str) -> None:
    first = shop.order((product, 1), user="repeats", key="the-key")
    assert shop.order((product, 1), user="repeats", key="the-key") == first
    body = {"userId": "repeats", "items": [{"productId": product, "quantity": 2}]}
    assert shop.http.post("/order", json=body, headers={"Idempotency-Key": "the-key"}).status_code == 422
    assert shop.order((product, 1), user="another", key="the-key") != first
