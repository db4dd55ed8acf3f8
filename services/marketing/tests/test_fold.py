"""Marketing's rows: sums over what orders say of themselves, whatever the order of arrival."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message as Proto
from hypothesis import given, settings
from hypothesis import strategies as st
from shop.common.v1.common_pb2 import Money, Order, OrderItem, Reason
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted
from shop.payment.v1.events_pb2 import PaymentRefunded

from services.engine.batch import encode_state
from services.engine.participant import Fold, IndexRow, Received, State
from services.marketing.fold import (
    AudienceState,
    CustomerState,
    DayState,
    ProductState,
    Sales,
    SaleState,
    day_of,
    lifetime_position,
    participant,
)
from services.tests.given import decide, fold
from services.tests.shop import ORDER, ORDER_ID, PRICED, USER_ID, usd

MARKETING = participant()
TOTAL = PRICED.total.amount_minor
DAY_US = 86_400_000_000
NEW_YEAR_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
Entities = Mapping[str, State]


class Said:
    """An event and when it happened."""

    def __init__(self, event: Proto, time_us: int = NEW_YEAR_US) -> None:
        self.event, self.time_us = event, time_us

    def __repr__(self) -> str:
        return f"{type(self.event).__name__}({self.event}, {self.time_us})"

    @property
    def command(self) -> Any:
        _, translate = MARKETING.consumes[self.event.DESCRIPTOR.full_name]
        return translate(Received(self.event, "id", "/sagaproof/test", self.time_us))


def folded(said: Sequence[Said]) -> dict[str, State]:
    entities: dict[str, State] = {}
    for each in said:
        entities = fold(MARKETING, entities, decide(MARKETING, entities, each.command))
    return entities


def written(entities: Entities) -> dict[str, str]:
    return {entity: encode_state(state) for entity, state in entities.items()}


COMPLETED = Said(OrderCompleted(order=PRICED))
CANCELLED = Said(OrderCancelled(order=ORDER, reason=Reason.REASON_OUT_OF_STOCK, detail="none left"))
REFUNDED = Said(PaymentRefunded(order=PRICED, amount=usd(TOTAL)))


def test_a_completed_order_counts_for_its_customer_its_products_and_its_day() -> None:
    assert folded([COMPLETED]) == {
        f"sale/{ORDER_ID}": SaleState(completed=True),
        f"customer/{USER_ID}": CustomerState({"USD": Sales(1, 3, TOTAL)}),
        "product/product-1": ProductState({"USD": Sales(1, 2, 2 * 2999)}),
        "product/product-2": ProductState({"USD": Sales(1, 1, 4999)}),
        "day/2026-01-01": DayState({"USD": Sales(1, 3, TOTAL)}),
        "audience/all": AudienceState(1),
    }


def test_a_cancelled_order_counts_for_its_day_by_its_reason() -> None:
    assert folded([CANCELLED]) == {
        f"sale/{ORDER_ID}": SaleState(cancelled=True),
        "day/2026-01-01": DayState({}, {"REASON_OUT_OF_STOCK": 1}),
    }


def test_a_refund_counts_for_the_day_on_which_it_was_given_and_a_refund_of_nothing_not_at_all() -> None:
    late = Said(REFUNDED.event, NEW_YEAR_US + DAY_US)
    assert folded([CANCELLED, late]) == {
        f"sale/{ORDER_ID}": SaleState(cancelled=True, refunded=True),
        "day/2026-01-01": DayState({}, {"REASON_OUT_OF_STOCK": 1}),
        "day/2026-01-02": DayState({"USD": Sales(refunded_minor=TOTAL)}),
    }
    assert folded([Said(PaymentRefunded(order=ORDER, amount=usd(0)))]) == {}


def test_a_day_begins_and_ends_in_utc() -> None:
    assert day_of(NEW_YEAR_US - 1) == "2025-12-31"
    assert day_of(NEW_YEAR_US) == day_of(NEW_YEAR_US + DAY_US - 1) == "2026-01-01"


def test_a_completed_order_without_a_price_is_an_error_of_that_one_record() -> None:
    with pytest.raises(ValueError, match="without a total"):
        _ = Said(OrderCompleted(order=ORDER)).command


def test_a_reason_that_a_later_version_added_is_an_error_of_that_one_record() -> None:
    with pytest.raises(ValueError, match="99"):
        _ = Said(OrderCancelled(order=ORDER, reason=99)).command  # pyright: ignore[reportArgumentType]


def test_a_customer_counts_once_however_often_they_buy_and_not_for_what_is_cancelled() -> None:
    others = [an_order(n, "ada", "USD", {"product-1": 1}) for n in range(2, 4)]
    said = [COMPLETED, *(Said(OrderCompleted(order=order)) for order in others), CANCELLED]
    assert folded(said)["audience/all"] == AudienceState(1)
    assert folded([*said, Said(OrderCompleted(order=an_order(9, "bob", "USD", {"product-1": 1})))])[
        "audience/all"
    ] == AudienceState(2)


def test_a_customer_is_found_by_what_they_have_bought_for_in_each_currency() -> None:
    assert MARKETING.indexes is not None
    row = CustomerState({"EUR": Sales(1, 1, 500), "USD": Sales(2, 2, 10)})
    assert list(MARKETING.indexes(row)) == [
        IndexRow("lifetime", "EUR", lifetime_position(500)),
        IndexRow("lifetime", "USD", lifetime_position(10)),
    ]
    for other in (CustomerState(), DayState(row.sales), ProductState(row.sales), SaleState(True), AudienceState(3)):
        assert list(MARKETING.indexes(other)) == []


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_a_higher_value_has_an_earlier_position(one: int, other: int) -> None:
    assert (lifetime_position(one) < lifetime_position(other)) == (one > other)


def an_order(number: int, user_id: str, currency: str, pieces: Mapping[str, int]) -> Order:
    """A priced one; each product costs 100."""
    price = Money(amount_minor=100, currency=currency)
    items = [OrderItem(product_id=i, quantity=q, unit_price=price) for i, q in sorted(pieces.items())]
    total = Money(amount_minor=100 * sum(pieces.values()), currency=currency)
    return Order(order_id=str(UUID(int=number)), user_id=user_id, items=items, total=total)


@st.composite
def endings(draw: st.DrawFn) -> list[Said]:
    """What some orders say: each is completed, or cancelled, and then perhaps refunded."""
    said: list[Said] = []
    for number in range(draw(st.integers(1, 6))):
        user_id, currency = draw(st.sampled_from(["ada", "bob"])), draw(st.sampled_from(["USD", "EUR", "CHF"]))
        pieces = draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 9), min_size=1))
        order = an_order(number, user_id, currency, pieces)
        times_us = st.integers(NEW_YEAR_US, NEW_YEAR_US + 3 * DAY_US)
        if draw(st.booleans()):
            said.append(Said(OrderCompleted(order=order), draw(times_us)))
            continue
        reason = draw(st.sampled_from(["REASON_SHIPMENT_FAILED", "REASON_TIMED_OUT"]))
        said.append(Said(OrderCancelled(order=order, reason=reason), draw(times_us)))
        if draw(st.booleans()):
            said.append(Said(PaymentRefunded(order=order, amount=order.total), draw(times_us)))
    return said


@settings(max_examples=200, deadline=None)
@given(endings(), st.data())
def test_every_order_of_arrival_with_every_duplicate_gives_the_same_rows_in_the_same_spelling(
    said: list[Said], data: st.DataObject
) -> None:
    arrived = data.draw(st.permutations([*said, *data.draw(st.lists(st.sampled_from(said)))]))
    assert written(folded(arrived)) == written(folded(said))


@settings(max_examples=100, deadline=None)
@given(endings())
def test_the_sums_are_those_of_the_orders(said: list[Said]) -> None:
    entities = folded(said)
    orders: list[Order] = [each.event.order for each in said if isinstance(each.event, OrderCompleted)]
    for kind in (CustomerState, DayState, ProductState):
        sold = [state.sales for state in entities.values() if isinstance(state, kind)]
        for currency in ("USD", "EUR", "CHF"):
            revenue = sum(sales[currency].revenue_minor for sales in sold if currency in sales)
            pieces = sum(sales[currency].pieces for sales in sold if currency in sales)
            right = [order for order in orders if order.total.currency == currency]
            assert revenue == sum(order.total.amount_minor for order in right)
            assert pieces == sum(item.quantity for order in right for item in order.items)
    customers = entities.get("audience/all", AudienceState())
    assert customers == AudienceState(len({order.user_id for order in orders}))


def test_versions_do_not_depend_on_the_order_of_arrival() -> None:
    """A Rebuild compares versions too."""
    another = Said(OrderCompleted(order=an_order(7, USER_ID, "USD", {"product-1": 1})), NEW_YEAR_US + DAY_US)
    said = [COMPLETED, another, CANCELLED, REFUNDED]
    assert len({versions(arrived) for arrived in permutations(said)}) == 1


def versions(said: Sequence[Said]) -> tuple[tuple[str, int], ...]:
    entities: dict[str, State] = {}
    counted: dict[str, int] = {}
    for each in said:
        effects = decide(MARKETING, entities, each.command)
        for effect in effects:
            assert isinstance(effect, Fold)
            counted[effect.entity] = counted.get(effect.entity, 0) + 1
        entities = fold(MARKETING, entities, effects)
    return tuple(sorted(counted.items()))
