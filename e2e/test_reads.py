"""What clients read beside one order's status, after real orders: the figures are those of the orders."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
from shop.admin.v1 import service_pb2 as admin

from e2e.conftest import PRICE_MINOR, STOCK
from e2e.shop import VARIANTS, Shop, eventually

OPENING_MINOR = 100_000
SEEN_WITHIN_S = 20.0
"""How far a read model may be behind on a busy machine."""

pytestmark = pytest.mark.e2e


def get(shop: Shop, path: str, **parameters: Any) -> Any:
    answer = shop.http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(shop: Shop, path: str, limit: int, **parameters: Any) -> list[Any]:
    """All items of a list that pages."""
    items: list[Any] = []
    page = get(shop, path, limit=limit, **parameters)
    while True:
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["nextCursor"] is None:
            return items
        page = get(shop, path, limit=limit, cursor=page["nextCursor"], **parameters)


def usd(amount_minor: int) -> dict[str, Any]:
    return {"amountMinor": amount_minor, "currency": "USD"}


@pytest.mark.variants(*VARIANTS)
def test_marketing_counts_what_was_completed_and_for_whom(shop: Shop, product: str) -> None:
    best, other = f"best-{product}", f"other-{product}"
    order_ids = [shop.order((product, pieces), user=user) for user, pieces in ((best, 2), (best, 5), (other, 3))]
    refused = shop.order((product, 21), user=other)
    documents = shop.settled([*order_ids, refused])
    assert [document["status"] for document in documents] == ["COMPLETED"] * 3 + ["CANCELLED"]

    def popularity() -> Any:
        found = get(shop, "/marketing/popularity", limit=500)
        return next((each for each in found if each["productId"] == product and each["orders"] == 3), None)

    assert eventually("the orders are counted", popularity, SEEN_WITHIN_S) == {
        "productId": product,
        "name": product.replace("test-", "Test "),
        "pieces": 10,
        "orders": 3,
        "revenue": usd(10 * PRICE_MINOR),
    }
    values = pages(shop, "/marketing/ltv", 3)
    amounts = [each["value"]["amountMinor"] for each in values]
    assert amounts == sorted(amounts, reverse=True)
    by_user = {each["userId"]: each for each in values}
    assert by_user[best] == {"userId": best, "orders": 2, "value": usd(7 * PRICE_MINOR)}
    assert by_user[other] == {"userId": other, "orders": 1, "value": usd(3 * PRICE_MINOR)}


@pytest.mark.variants(*VARIANTS)
def test_every_view_of_marketing_adds_up_to_the_same(shop: Shop, product: str) -> None:
    shop.settled([shop.order((product, 1), user=f"sums-{product}"), shop.order((product, 21), user=f"sums-{product}")])

    def sums() -> Any:
        overview = get(shop, "/marketing/overview")
        values = pages(shop, "/marketing/ltv", 500)
        products = get(shop, "/marketing/popularity", limit=500)
        days = get(shop, "/marketing/daily-sales")
        revenue = overview["revenue"]["amountMinor"]
        same = (
            overview["customers"] == len(values)
            and overview["completed"] == sum(v["orders"] for v in values) == sum(d["orders"] for d in days)
            and overview["pieces"] == sum(p["pieces"] for p in products) == sum(d["pieces"] for d in days)
            and revenue == sum(v["value"]["amountMinor"] for v in values)
            and revenue == sum(p["revenue"]["amountMinor"] for p in products)
            and revenue == sum(d["revenue"]["amountMinor"] for d in days)
            and overview["refunded"]["amountMinor"] == sum(d["refunded"]["amountMinor"] for d in days)
            and overview["cancelled"] == sum(d["cancelled"] for d in days)
            and overview["cancelled"] == sum(overview["cancelledByReason"].values())
        )
        counted = overview["cancelledByReason"].get("SHIPMENT_FAILED") and overview["refunded"]["amountMinor"]
        return overview if same and counted else None

    overview = eventually("all views say the same", sums, SEEN_WITHIN_S)
    assert overview["averageOrderValue"]["amountMinor"] == round(
        overview["revenue"]["amountMinor"] / overview["completed"]
    )


THINKS_S = 0.05
"""A customer, from one order to the next: what is rebuilt under load has to keep up with it."""


@pytest.mark.parametrize("service", ["marketing", "status"])
def test_a_read_model_that_is_rebuilt_under_load_is_what_it_was(shop: Shop, product: str, service: str) -> None:
    order_ids = [shop.order((product, 1)) for _ in range(5)]
    for _ in range(3):
        rebuild = rebuilding(shop, service)
        while not rebuild.done():
            order_ids.append(shop.order((product, 1)))
            Event().wait(THINKS_S)
        assert rebuild.result().entities > 0
        assert list(rebuild.result().different) == []
    shop.settled(order_ids)
    assert list(rebuilding(shop, service).result().different) == []


def rebuilding(shop: Shop, service: str) -> Any:
    """A Rebuild with repair that is under way."""
    return shop.admin(service).Rebuild.future(admin.RebuildRequest(repair=True), timeout=60)


def test_one_product_is_read_with_its_stock(shop: Shop, product: str) -> None:
    shop.settled([shop.order((product, 4))])
    assert get(shop, f"/products/{product}") == {
        "productId": product,
        "name": product.replace("test-", "Test "),
        "price": usd(PRICE_MINOR),
        "available": STOCK - 4,
        "reserved": 0,
    }
    assert shop.http.get("/products/no-such-product").status_code == 404


def test_products_are_found_by_words_and_stock(shop: Shop, product: str) -> None:
    shop.settled([shop.order((product, 1))])
    found = get(shop, "/products", text=f"{product} TEST", inStock="true")
    assert product in [each["productId"] for each in found]
    assert all("test" in each["productId"] for each in found)
    assert get(shop, "/products", text="nothing like this") == []


def test_accounts_are_listed_page_by_page(shop: Shop, product: str) -> None:
    users = [f"lists-{product}-{n}" for n in range(3)]
    shop.settled([shop.order((product, 1), user=user) for user in users])
    first = shop.accounts(after=f"lists-{product}-", limit=2)
    assert first == dict.fromkeys(users[:2], OPENING_MINOR - PRICE_MINOR)
    assert list(shop.accounts(after=users[1], limit=1)) == users[2:]
