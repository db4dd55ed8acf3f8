"""GET /marketing/...: figures, pages, ranges."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.tests.conftest import Stack, running

pytestmark = pytest.mark.anyio


def usd(amount_minor: int) -> dict[str, Any]:
    return {"amountMinor": amount_minor, "currency": "USD"}


async def test_the_overview_has_every_figure(stack: Stack) -> None:
    answer = await stack.http.get("/marketing/overview")
    assert answer.status_code == 200
    assert answer.json() == {
        "completed": 4,
        "cancelled": 2,
        "cancelledByReason": {"OUT_OF_STOCK": 2},
        "customers": 3,
        "pieces": 7,
        "revenue": usd(36993),
        "refunded": usd(0),
        "averageOrderValue": usd(9248),
        "currencies": ["USD"],
    }


async def test_lifetime_values_come_page_by_page_until_there_is_no_next_cursor(stack: Stack) -> None:
    first = (await stack.http.get("/marketing/ltv", params={"limit": 2})).json()
    assert first["items"] == [
        {"userId": "bob", "orders": 1, "value": usd(12998)},
        {"userId": "cy", "orders": 1, "value": usd(12998)},
    ]
    last = (await stack.http.get("/marketing/ltv", params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert last == {"items": [{"userId": "ada", "orders": 2, "value": usd(10997)}], "nextCursor": None}
    assert len((await stack.http.get("/marketing/ltv")).json()["items"]) == 3


async def test_a_cursor_keeps_its_currency_and_is_refused_with_another(stack: Stack) -> None:
    first = (await stack.http.get("/marketing/ltv", params={"limit": 1, "currency": "EUR"})).json()
    following = {"limit": 1, "cursor": first["nextCursor"]}
    second = (await stack.http.get("/marketing/ltv", params=following)).json()
    assert second["items"][0]["value"]["currency"] == "EUR"
    refused = await stack.http.get("/marketing/ltv", params={**following, "currency": "USD"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/marketing/ltv?cursor=nonsense", "cursor"),
        ("/marketing/ltv?cursor=", "cursor"),
        ("/marketing/ltv?limit=0", "limit"),
        ("/marketing/ltv?limit=501", "limit"),
        ("/marketing/popularity?limit=x", "limit"),
        ("/marketing/overview?currency=usd", "currency"),
        ("/marketing/daily-sales?from=2026-02-30", "from"),
        ("/marketing/daily-sales?to=20260131", "to"),
        ("/marketing/daily-sales?to=1767225600", "to"),
    ],
)
async def test_a_wrong_parameter_is_422_with_its_name(stack: Stack, path: str, field: str) -> None:
    answer = await stack.http.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_popular_products_have_a_name_while_the_catalogue_has_them(stack: Stack) -> None:
    found = (await stack.http.get("/marketing/popularity")).json()
    assert found[0] == {
        "productId": "product-1",
        "name": "Premium Widget",
        "pieces": 4,
        "orders": 3,
        "revenue": usd(11996),
    }
    assert found[1]["name"] is None
    assert len((await stack.http.get("/marketing/popularity?limit=1")).json()) == 1


async def test_days_can_be_bounded_on_both_sides(stack: Stack) -> None:
    days = (await stack.http.get("/marketing/daily-sales")).json()
    assert [day["day"] for day in days] == ["2026-01-01", "2026-01-02"]
    assert days[0] == {
        "day": "2026-01-01",
        "orders": 3,
        "pieces": 5,
        "revenue": usd(30995),
        "refunded": usd(62979),
        "cancelled": 1,
    }
    bounded = await stack.http.get("/marketing/daily-sales?from=2026-01-02&to=2026-01-02")
    assert [day["day"] for day in bounded.json()] == ["2026-01-02"]


async def test_without_marketing_its_figures_are_503_and_the_gateway_is_ready() -> None:
    async with running(read_deadline_s=0.3) as stack:
        await stack.marketing_service.stop()
        answer = await stack.http.get("/marketing/overview")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await stack.http.get("/ready")).status_code == 200
        await stack.place()
