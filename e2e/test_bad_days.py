"""Bad input of any kind gets a clear answer or becomes a dead letter, and the next order completes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from shop.admin.v1 import service_pb2 as admin
from shop.common.v1.common_pb2 import Order, OrderItem
from shop.order.v1.events_pb2 import OrderCreated

from e2e.conftest import STOCK
from e2e.shop import Shop, eventually

pytestmark = pytest.mark.e2e


def event(product: str, order_id: str) -> bytes:
    order = Order(order_id=order_id, user_id="poisoner", items=[OrderItem(product_id=product, quantity=1)])
    return OrderCreated(order=order).SerializeToString()


def headers(**changed: bytes | None) -> dict[str, str | bytes | None]:
    """Those of a good event, with some changed or, with None, left out."""
    good = {
        "ce_id": str(uuid4()).encode(),
        "ce_type": b"shop.order.v1.OrderCreated",
        "ce_source": b"/sagaproof/order",
        "ce_time": b"2026-01-02T03:04:05Z",
        "ce_specversion": b"1.0",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def send(
    shop: Shop, value: bytes | None, record_headers: dict[str, str | bytes | None] | None, key: str = "key"
) -> None:
    """Puts a record on the topic `orders` as some other program might."""
    producer = Producer({"bootstrap.servers": shop.kafka()})
    failed: list[Any] = []
    producer.produce(
        "orders", value, key.encode(), headers=record_headers or {}, on_delivery=lambda error, _: failed.append(error)
    )
    assert producer.flush(10) == 0
    assert failed == [None]


def dead_letters(shop: Shop, service: str) -> list[admin.DeadLetter]:
    request = admin.ListDeadLettersRequest(status=admin.DeadLetterStatus.DEAD_LETTER_STATUS_OPEN, limit=1000)
    return list(shop.admin(service).ListDeadLetters(request, timeout=15, wait_for_ready=True).dead_letters)


def discard_all(shop: Shop) -> None:
    """Every consumer of a topic has a dead letter of its own of what was wrong there."""
    for service in shop.services:
        for letter in dead_letters(shop, service):
            shop.admin(service).DiscardDeadLetter(admin.DiscardDeadLetterRequest(id=letter.id), timeout=15)


POISON = {
    "an empty record": (b"", headers()),
    "no value at all": (None, headers()),
    "no headers": (b"garbage", None),
    "garbage": (b"\xff\x00garbage" * 10, headers()),
    "a truncated event": (event("product-1", str(uuid4()))[:-3], headers()),
    "an event without an order": (OrderCreated(request_hash=b"x").SerializeToString(), headers()),
    "another type than it says": (event("product-1", str(uuid4())), headers(ce_type=b"shop.shipping.v1.Shipped")),
    "an order id that is none": (event("product-1", "not-a-uuid"), headers()),
    "a time that is none": (event("product-1", str(uuid4())), headers(ce_time=b"yesterday")),
    "no id": (event("product-1", str(uuid4())), headers(ce_id=None)),
    "an id of a megabyte's tenth": (event("product-1", str(uuid4())), headers(ce_id=b"x" * 100_000)),
    "an id that is not UTF-8": (event("product-1", str(uuid4())), headers(ce_id=b"\xff\xfe")),
    "900 KB of garbage": (os.urandom(900_000), headers()),
}


@pytest.mark.parametrize("kind", POISON)
def test_a_poisoned_record_becomes_a_dead_letter_and_the_next_order_completes(
    shop: Shop, product: str, kind: str
) -> None:
    value, record_headers = POISON[kind]
    send(shop, value, record_headers)
    letters = eventually("inventory has a dead letter", lambda: dead_letters(shop, "inventory"), 15)
    assert len(letters) == 1
    assert letters[0].topic == "orders"
    assert letters[0].payload == (value or b"")
    assert letters[0].cause
    assert shop.ended(shop.order((product, 1)))["status"] == "COMPLETED"
    discard_all(shop)


def test_an_event_of_a_type_that_nobody_knows_is_skipped(shop: Shop, product: str) -> None:
    send(shop, b"from the future", headers(ce_type=b"shop.order.v9.OrderDreamt"))
    assert shop.ended(shop.order((product, 1)))["status"] == "COMPLETED"
    assert not dead_letters(shop, "inventory")


def test_garbage_with_the_id_of_a_real_event_does_not_hide_that_event(shop: Shop, product: str) -> None:
    order_id, message_id = str(uuid4()), str(uuid4()).encode()
    send(shop, b"\xff garbage", headers(ce_id=message_id))
    eventually("inventory has a dead letter", lambda: dead_letters(shop, "inventory"), 15)
    send(shop, event(product, order_id), headers(ce_id=message_id))
    eventually("the event is carried out", lambda: shop.products()[product]["available"] == STOCK - 1, 15)
    discard_all(shop)


def test_a_dead_letter_that_is_corrected_and_replayed_goes_on_and_replaying_twice_does_no_harm(
    shop: Shop, product: str
) -> None:
    order_id = str(uuid4())
    send(shop, event(product, order_id)[:-2], headers())
    letter = eventually("inventory has a dead letter", lambda: dead_letters(shop, "inventory"), 15)[0]
    stub = shop.admin("inventory")
    replay = admin.ReplayDeadLetterRequest(id=letter.id, payload=event(product, order_id))
    for _ in range(2):
        answer = stub.ReplayDeadLetter(replay, timeout=15)
        assert answer.status == admin.DeadLetterStatus.DEAD_LETTER_STATUS_REPLAYED
    assert shop.products()[product]["available"] == STOCK - 1
    discard_all(shop)


ITEM = {"productId": "product-1", "quantity": 1}
BAD_ORDERS: dict[str, tuple[Any, int]] = {
    "an unknown product": ({"userId": "u", "items": [{"productId": "nothing", "quantity": 1}]}, 422),
    "quantity 0": ({"userId": "u", "items": [{"productId": "product-1", "quantity": 0}]}, 422),
    "quantity -1": ({"userId": "u", "items": [{"productId": "product-1", "quantity": -1}]}, 422),
    "quantity 1.5": ({"userId": "u", "items": [{"productId": "product-1", "quantity": 1.5}]}, 422),
    "quantity 10^12": ({"userId": "u", "items": [{"productId": "product-1", "quantity": 10**12}]}, 422),
    "1,001 items": ({"userId": "u", "items": [ITEM] * 1001}, 422),
    "1,001 pieces in two items": (
        {"userId": "u", "items": [{"productId": "product-1", "quantity": 1000}, ITEM]},
        422,
    ),
    "no items": ({"userId": "u", "items": []}, 422),
    "no user": ({"items": [ITEM]}, 422),
    "a control character in the user": ({"userId": "a\u0000b", "items": [ITEM]}, 422),
    "a list": ([], 422),
    "2 MB": ({"userId": "u" * 2_000_000, "items": [ITEM]}, 413),
}


@pytest.mark.parametrize("kind", BAD_ORDERS)
def test_a_bad_order_gets_a_problem_document_that_names_the_field(shop: Shop, kind: str) -> None:
    body, status = BAD_ORDERS[kind]
    answer = shop.http.post("/order", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    if status == 422:
        assert problem["errors"][0]["message"]


def test_the_same_product_twice_is_added_up(shop: Shop, product: str) -> None:
    document = shop.ended(shop.order((product, 2), (product, 3)))
    assert [(item["productId"], item["quantity"]) for item in document["items"]] == [(product, 5)]


def test_odd_unicode_in_a_user_is_kept_as_it_is(shop: Shop, product: str) -> None:
    user = f"\u00dcn\u00ef \u202e\U0001d4fe \U0001f469\u200d\U0001f467 {uuid4()}"
    document = shop.ended(shop.order((product, 1), user=user))
    assert document["userId"] == user
    assert shop.balance_minor(user) < 100_000


def test_an_order_that_was_never_accepted_is_not_found(shop: Shop) -> None:
    for path in (f"/status/{uuid4()}", "/status/nonsense"):
        answer = shop.http.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert shop.http.post(f"/order/{uuid4()}/cancel").status_code == 404


def test_the_gateway_answers_as_its_openapi_document_says_on_the_real_shop(shop: Shop) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "gateway/tests/test_openapi.py"]
    run = subprocess.run(
        command, env={**os.environ, "GATEWAY_URL": shop.url}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
