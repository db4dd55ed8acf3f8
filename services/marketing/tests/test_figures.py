"""What marketing answers, from its rows."""

import pytest
from shop.common.v1.common_pb2 import Reason
from shop.marketing.v1 import service_pb2 as pb

from services import catalogue
from services.marketing import figures
from services.marketing.fold import CustomerState, DayState, ProductState, Sales
from services.tests.shop import usd

CATALOGUE = catalogue.read("")
DAYS = {
    "2026-01-02": DayState({"USD": Sales(2, 5, 1001, 30)}, {"REASON_TIMED_OUT": 1}),
    "2026-01-01": DayState({"EUR": Sales(1, 1, 7)}, {"REASON_OUT_OF_STOCK": 3, "REASON_TIMED_OUT": 1}),
    "2025-12-31": DayState({"USD": Sales(1, 1, 99), "CHF": Sales(refunded_minor=5)}),
}


def test_an_overview_is_the_sum_of_the_days_in_one_currency() -> None:
    assert figures.overview(DAYS.values(), 4, "USD") == pb.GetOverviewResponse(
        completed=3,
        cancelled=5,
        cancelled_by_reason=[
            pb.CancelledOrders(reason=Reason.REASON_OUT_OF_STOCK, orders=3),
            pb.CancelledOrders(reason=Reason.REASON_TIMED_OUT, orders=2),
        ],
        customers=4,
        pieces=6,
        revenue=usd(1100),
        refunded=usd(30),
        average_order_value=usd(367),
        currencies=["EUR", "USD"],
    )


def test_an_overview_of_nothing_has_every_amount_at_0() -> None:
    empty = figures.overview([], 0, "USD")
    assert [empty.revenue, empty.refunded, empty.average_order_value] == [usd(0)] * 3
    assert (empty.completed, empty.cancelled, list(empty.currencies)) == (0, 0, [])


@pytest.mark.parametrize(
    ("sum_minor", "count", "rounded"), [(0, 0, 0), (10, 4, 3), (9, 4, 2), (10, 3, 3), (11, 3, 4), (7, 1, 7)]
)
def test_an_average_is_rounded_half_up(sum_minor: int, count: int, rounded: int) -> None:
    assert figures.average(sum_minor, count) == rounded


def test_one_customer_more_than_the_page_has_says_where_the_next_begins() -> None:
    customers = [(name, CustomerState({"USD": Sales(n, n, 100 * n)})) for n, name in ((3, "ada"), (2, "bob"))]
    full = figures.lifetime_values(customers, "USD", 2)
    assert [(each.user_id, each.orders, each.value) for each in full.values] == [
        ("ada", 3, usd(300)),
        ("bob", 2, usd(200)),
    ]
    assert not full.HasField("next")
    first = figures.lifetime_values(customers, "USD", 1)
    assert [each.user_id for each in first.values] == ["ada"]
    assert first.next == pb.LifetimeValuePosition(amount_minor=300, user_id="ada")
    assert figures.lifetime_values([], "USD", 1) == pb.ListLifetimeValuesResponse()


def test_the_most_popular_product_is_the_one_with_most_pieces_then_orders_then_by_id() -> None:
    products = {
        "product-1": ProductState({"USD": Sales(1, 5, 500)}),
        "gone": ProductState({"USD": Sales(2, 5, 50)}),
        "b": ProductState({"USD": Sales(1, 9, 9)}),
        "a": ProductState({"USD": Sales(1, 5, 5)}),
        "elsewhere": ProductState({"EUR": Sales(9, 99, 999)}),
    }
    found = figures.popularity(products, CATALOGUE, "USD", 10).products
    assert [each.product_id for each in found] == ["b", "gone", "a", "product-1"]
    assert found[3] == pb.Popularity(
        product_id="product-1", name="Premium Widget", pieces=5, orders=1, revenue=usd(500)
    )
    assert found[1].name == ""
    assert [each.product_id for each in figures.popularity(products, CATALOGUE, "USD", 2).products] == ["b", "gone"]


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("", "", ["2025-12-31", "2026-01-01", "2026-01-02"]),
        ("2026-01-01", "", ["2026-01-01", "2026-01-02"]),
        ("", "2026-01-01", ["2025-12-31", "2026-01-01"]),
        ("2026-01-01", "2026-01-01", ["2026-01-01"]),
        ("2026-01-02", "2026-01-01", []),
    ],
)
def test_days_come_in_their_order_and_within_both_bounds(first: str, last: str, days: list[str]) -> None:
    assert [each.day for each in figures.daily_sales(DAYS, "USD", first, last).days] == days


def test_a_day_tells_what_ended_on_it_in_one_currency() -> None:
    *_, sold_in_euros, last = figures.daily_sales(DAYS, "USD", "", "").days
    assert last == pb.DailySales(day="2026-01-02", orders=2, pieces=5, revenue=usd(1001), refunded=usd(30), cancelled=1)
    assert sold_in_euros == pb.DailySales(day="2026-01-01", revenue=usd(0), refunded=usd(0), cancelled=4)
