"""Whatever a client sends is answered by a problem document that says what is wrong; never by a 500."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.tests.conftest import Stack, an_order, running

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    """One for the whole module: bad input must leave no trace."""
    async with running() as started:
        yield started


JSON = {"Content-Type": "application/json"}
ITEM = {"productId": "product-1", "quantity": 1}


def with_quantity(text: str) -> str:
    return '{"userId": "u", "items": [{"productId": "product-1", "quantity": ' + text + "}]}"


def with_user(text: str) -> str:
    return '{"userId": ' + text + ', "items": [{"productId": "product-1", "quantity": 1}]}'


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "1000000000000", "1001", '"1"', "true", "null", "1e4", "1e300"])
async def test_a_quantity_that_is_no_integer_from_1_to_1000_is_refused_with_its_field(
    stack: Stack, quantity: str
) -> None:
    calls = len(stack.order.calls)
    answer = await stack.http.post("/order", content=with_quantity(quantity), headers=JSON)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == ["items[0].quantity"]
    assert len(stack.order.calls) == calls


@pytest.mark.parametrize("quantity", ["2.0", "2e0", "20e-1"])
async def test_a_whole_number_is_an_integer_however_it_is_written(stack: Stack, quantity: str) -> None:
    answer = await stack.http.post("/order", content=with_quantity(quantity), headers=JSON)
    assert stack.order.accepted[answer.json()["orderId"]].items[0].quantity == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"userId": ""}, "userId"),
        ({"userId": "x" * 129}, "userId"),
        ({"userId": "a\x00b"}, "userId"),
        ({"userId": "a\nb"}, "userId"),
        ({"userId": "a\x7fb"}, "userId"),
        ({"userId": 7}, "userId"),
        ({"userId": None}, "userId"),
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": {}}, "items"),
        ({"items": [None]}, "items[0]"),
        ({"items": [ITEM] * 1001}, "items"),
        ({"items": [ITEM, {"productId": "product-1"}]}, "items[1].quantity"),
        ({"items": [{"productId": "no spaces", "quantity": 1}]}, "items[0].productId"),
        ({"items": [{"productId": "", "quantity": 1}]}, "items[0].productId"),
        ({"items": [{"productId": "x" * 65, "quantity": 1}]}, "items[0].productId"),
        ({"items": [{"productId": "product-1\n", "quantity": 1}]}, "items[0].productId"),
        ({"items": [ITEM | {"price": 1}]}, "items[0].price"),
        ({"deliveryAddress": "x" * 501}, "deliveryAddress"),
        ({"deliveryAddress": "a\x00b"}, "deliveryAddress"),
        ({"deliveryAddress": ["a"]}, "deliveryAddress"),
        ({"coupon": "x"}, "coupon"),
        ({"user_id": "x"}, "user_id"),
    ],
)
async def test_a_field_of_the_wrong_shape_is_refused_by_its_json_path(
    stack: Stack, change: dict[str, Any], field: str
) -> None:
    answer = await stack.http.post("/order", json=an_order(**change))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert field in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"null", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{'userId': 1}", "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 40_000, "nested too deeply"),
        (b'{"userId": "a", "userId": "b"}', "twice"),
        (with_quantity("NaN").encode(), "NaN"),
        (with_quantity("-Infinity").encode(), "Infinity"),
        (with_quantity("1" * 5_000).encode(), "not JSON"),
        (with_quantity("1e999").encode(), "items[0].quantity"),
        (with_quantity("1").encode() + b"{}", "not JSON"),
        (with_user(r'"\ud800"').encode(), "surrogate"),
        (b'{"\\ud800": 1}', "surrogate"),
        (with_user('"a\\u0000"').encode(), "userId"),
        ("{" + ",".join(f'"field{n}": 1' for n in range(9_000)) + "}", "not a known field"),
    ],
)
async def test_a_body_that_is_no_good_json_is_refused_and_says_why(stack: Stack, body: bytes, says: str) -> None:
    answer = await stack.http.post("/order", content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.text
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    "user", ["Zo\u00eb", "\U0001f600", "\u202eabc", "\u0645\u0631\u062d\u0628\u0627", "e\u0301", "\u2028", " ", "\x80"]
)
async def test_odd_but_valid_unicode_arrives_unchanged(stack: Stack, user: str) -> None:
    order_id = await stack.place(userId=user, deliveryAddress=user)
    assert stack.order.accepted[order_id].user_id == user
    assert stack.order.accepted[order_id].delivery_address == user


async def test_the_largest_order_of_a_good_shape_is_accepted(stack: Stack) -> None:
    items = [{"productId": f"{n:064}", "quantity": 1000} for n in range(1000)]
    body = json.dumps(an_order(items=items, deliveryAddress="\u00e9" * 500), indent=1)
    answer = await stack.http.post("/order", content=body, headers=JSON)
    assert answer.status_code == 202


async def test_a_null_delivery_address_is_none_at_all(stack: Stack) -> None:
    order_id = await stack.place(deliveryAddress=None)
    assert stack.order.accepted[order_id].delivery_address == ""


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
async def test_a_body_that_is_not_declared_as_json_is_refused(stack: Stack, media_type: str) -> None:
    answer = await stack.http.post("/order", content=json.dumps(an_order()), headers={"Content-Type": media_type})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


async def test_json_with_a_charset_is_json(stack: Stack) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await stack.http.post("/order", content=json.dumps(an_order()), headers=headers)).status_code == 202


@pytest.mark.parametrize(
    "path", ["/nope", "/order/", "/status", "/status//", "/ws/x", "/%00", "/%ff", "/docs/assets/nope"]
)
async def test_an_unknown_path_is_a_problem_document(stack: Stack, path: str) -> None:
    answer = await stack.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/order"), ("DELETE", "/order"), ("POST", "/products"), ("PUT", "/health")]
)
async def test_a_wrong_method_is_a_problem_document_that_allows_the_right_one(
    stack: Stack, method: str, path: str
) -> None:
    answer = await stack.http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"]


async def test_after_all_that_the_next_order_is_accepted(stack: Stack) -> None:
    for body in (b"[" * 100_000, b"\xff", b"{}"):
        await stack.http.post("/order", content=body, headers=JSON)
    assert await stack.place() in stack.order.accepted


async def test_a_fault_of_the_gateway_itself_is_a_problem_document(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("boom")

    services = stack.server.lifespan.state["gateway"].services
    monkeypatch.setattr(services, "place", broken)
    monkeypatch.setattr(services, "products", broken)
    for answer in (await stack.http.post("/order", json=an_order()), await stack.http.get("/products")):
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "boom" not in answer.text
