"""The marketing read model: what was sold, to whom and when, folded from the endings of orders and their refunds.

An order says a thing once: that it was completed, that it was cancelled, that its money went back. Each is counted on
its own, in the rows of its customer, its products and its day, and the order's own row says which of them are counted.
So sums do not depend on the order of arrival, seeing an event twice changes nothing, and no row grows with the orders.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import ClassVar

import msgspec
from shop.common.v1.common_pb2 import Money, Order, Reason
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted
from shop.payment.v1.events_pb2 import PaymentRefunded

from services import saga
from services.engine.participant import (
    Effect,
    Fold,
    Handler,
    IndexRow,
    Participant,
    Received,
    State,
    States,
    key,
)

LIFETIME = "lifetime"
"""The index of customers by what they have bought for; a bucket is a currency."""
EVERYBODY = "all"
"""The one id of Audience."""
PATIENCE_S = 0.2
"""Nobody watches these figures move."""
_MOST_MINOR = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000


class Sales(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was sold in one currency: completed orders, their pieces and totals; and what was given back of others."""

    orders: int = 0
    pieces: int = 0
    revenue_minor: int = 0
    refunded_minor: int = 0

    def __add__(self, more: "Sales") -> "Sales":
        return Sales(
            self.orders + more.orders,
            self.pieces + more.pieces,
            self.revenue_minor + more.revenue_minor,
            self.refunded_minor + more.refunded_minor,
        )


class SaleState(State, frozen=True):
    """sale/<order id>: what is counted of the order already."""

    kind: ClassVar[str] = "sale"
    completed: bool = False
    cancelled: bool = False
    refunded: bool = False


class SalesState(State, frozen=True):
    """Whatever has sales, by currency."""

    sales: dict[str, Sales] = {}


class CustomerState(SalesState, frozen=True):
    """customer/<user id>"""

    kind: ClassVar[str] = "customer"


class ProductState(SalesState, frozen=True):
    """product/<product id>"""

    kind: ClassVar[str] = "product"


class DayState(SalesState, frozen=True):
    """day/<2026-01-31>, in UTC. cancelled: name of a shop.common.v1.Reason -> orders"""

    kind: ClassVar[str] = "day"
    cancelled: dict[str, int] = {}


class AudienceState(State, frozen=True):
    """audience/all: how many customers there are, which no other row could say."""

    kind: ClassVar[str] = "audience"
    customers: int = 0


class CountCompleted(msgspec.Struct, frozen=True):
    """The command that OrderCompleted means here. `lines`: product id -> what was sold of it."""

    order_id: str
    user_id: str
    day: str
    currency: str
    total: Sales
    lines: dict[str, Sales]


class CountCancelled(msgspec.Struct, frozen=True):
    """The command that OrderCancelled means here."""

    order_id: str
    day: str
    reason: str


class CountRefunded(msgspec.Struct, frozen=True):
    """The command that PaymentRefunded means here."""

    order_id: str
    day: str
    amount: Money


class Sold(msgspec.Struct, frozen=True):
    """The fold of a row that has sales."""

    currency: str
    sales: Sales


class Lost(msgspec.Struct, frozen=True):
    """The fold of a day on which an order was cancelled."""

    reason: str


class Joined(msgspec.Struct, frozen=True):
    """The fold of the audience when a customer has completed the first order."""


def completed(received: Received) -> CountCompleted:
    """ValueError if the order has no price: only one without a sale may have none."""
    event: OrderCompleted = received.body  # pyright: ignore[reportAssignmentType]
    order: Order = event.order
    if not order.HasField("total"):
        raise ValueError("a completed order without a total")
    lines: dict[str, Sales] = {}
    pieces = 0
    for item in order.items:
        pieces += item.quantity
        lines[item.product_id] = Sales(1, item.quantity, item.quantity * item.unit_price.amount_minor)
    total = order.total
    sales = Sales(1, pieces, total.amount_minor)
    return CountCompleted(order.order_id, order.user_id, day_of(received.time_us), total.currency, sales, lines)


def cancelled(received: Received) -> CountCancelled:
    event: OrderCancelled = received.body  # pyright: ignore[reportAssignmentType]
    return CountCancelled(event.order.order_id, day_of(received.time_us), Reason.Name(event.reason))


def refunded(received: Received) -> CountRefunded:
    event: PaymentRefunded = received.body  # pyright: ignore[reportAssignmentType]
    return CountRefunded(event.order.order_id, day_of(received.time_us), event.amount)


def day_of(time_us: int) -> str:
    """The day in UTC, as 2026-01-31."""
    return _day(time_us // _DAY_US)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def keys_of_completed(command: CountCompleted) -> list[str]:
    return [
        key(SaleState, command.order_id),
        key(CustomerState, command.user_id),
        key(AudienceState, EVERYBODY),
        key(DayState, command.day),
        *(key(ProductState, product_id) for product_id in command.lines),
    ]


def keys_of_others(command: CountCancelled | CountRefunded) -> list[str]:
    return [key(SaleState, command.order_id), key(DayState, command.day)]


def count_completed(states: States, command: CountCompleted) -> list[Effect]:
    if states.get(SaleState, command.order_id).completed:
        return []
    sold = Sold(command.currency, command.total)
    effects: list[Effect] = [
        Fold(key(SaleState, command.order_id), command),
        Fold(key(CustomerState, command.user_id), sold),
        Fold(key(DayState, command.day), sold),
        *(Fold(key(ProductState, i), Sold(command.currency, line)) for i, line in command.lines.items()),
    ]
    if not states.get(CustomerState, command.user_id).sales:
        effects.append(Fold(key(AudienceState, EVERYBODY), Joined()))
    return effects


def count_cancelled(states: States, command: CountCancelled) -> list[Effect]:
    if states.get(SaleState, command.order_id).cancelled:
        return []
    return [Fold(key(SaleState, command.order_id), command), Fold(key(DayState, command.day), Lost(command.reason))]


def count_refunded(states: States, command: CountRefunded) -> list[Effect]:
    """An order that was never charged is refunded 0: there is nothing to count."""
    amount = command.amount
    if not amount.amount_minor or states.get(SaleState, command.order_id).refunded:
        return []
    given_back = Sold(amount.currency, Sales(refunded_minor=amount.amount_minor))
    return [Fold(key(SaleState, command.order_id), command), Fold(key(DayState, command.day), given_back)]


def sale_completed(state: SaleState, _: CountCompleted) -> SaleState:
    return SaleState(completed=True, cancelled=state.cancelled, refunded=state.refunded)


def sale_cancelled(state: SaleState, _: CountCancelled) -> SaleState:
    return SaleState(completed=state.completed, cancelled=True, refunded=state.refunded)


def sale_refunded(state: SaleState, _: CountRefunded) -> SaleState:
    return SaleState(completed=state.completed, cancelled=state.cancelled, refunded=True)


def sold(state: SalesState, event: Sold) -> SalesState:
    return msgspec.structs.replace(state, sales=added(state.sales, event.currency, event.sales))


def added(sales: Mapping[str, Sales], currency: str, more: Sales) -> dict[str, Sales]:
    """With the currencies in their order, so that equal states are written down the same."""
    if currency in sales:
        return {**sales, currency: sales[currency] + more}
    return dict(sorted({**sales, currency: more}.items()))


def lost(state: DayState, event: Lost) -> DayState:
    counted = {**state.cancelled, event.reason: state.cancelled.get(event.reason, 0) + 1}
    return DayState(state.sales, dict(sorted(counted.items())))


def joined(state: AudienceState, _: Joined) -> AudienceState:
    return AudienceState(state.customers + 1)


def indexes(state: State) -> Sequence[IndexRow]:
    if not isinstance(state, CustomerState):
        return ()
    return [IndexRow(LIFETIME, code, lifetime_position(sales.revenue_minor)) for code, sales in state.sales.items()]


def lifetime_position(value_minor: int) -> str:
    """The highest value first, in the order of strings."""
    return f"{_MOST_MINOR - value_minor:019}"


def participant() -> Participant:
    consumes: dict[str, saga.Translation] = {
        saga.full_name(OrderCompleted): (OrderCompleted, completed),
        saga.full_name(OrderCancelled): (OrderCancelled, cancelled),
        saga.full_name(PaymentRefunded): (PaymentRefunded, refunded),
    }
    return Participant(
        name="marketing",
        topics=saga.topics_of(consumes),
        consumes=consumes,
        handlers={
            CountCompleted: Handler(keys_of_completed, count_completed),
            CountCancelled: Handler(keys_of_others, count_cancelled),
            CountRefunded: Handler(keys_of_others, count_refunded),
        },
        folds={
            CountCompleted: sale_completed,
            CountCancelled: sale_cancelled,
            CountRefunded: sale_refunded,
            Sold: sold,
            Lost: lost,
            Joined: joined,
        },
        states=(SaleState, CustomerState, ProductState, DayState, AudienceState),
        about=saga.about,
        indexes=indexes,
        patience_s=PATIENCE_S,
    )
