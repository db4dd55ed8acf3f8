"""Order as a table: given what has happened, when a request or a fact comes, then these events."""

from itertools import product

import pytest
from google.protobuf.message import Message as Proto
from google.rpc.code_pb2 import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND
from shop.common.v1.common_pb2 import OrderItem, OrderStatus, Reason
from shop.inventory.v1.events_pb2 import InventoryRejected, InventoryReleased
from shop.order.v1 import events_pb2 as events
from shop.order.v1 import service_pb2 as api
from shop.payment.v1.events_pb2 import PaymentFailed, PaymentRefunded
from shop.shipping.v1.events_pb2 import CancellationRefused, ShipmentFailed, Shipped

from services import saga
from services.catalogue import Product
from services.engine.participant import Event, Reply, StartTimer, StopTimer, TimerFired
from services.order.decider import DEADLINE, OrderState, Policy, hash_of, participant
from services.saga import Outcome
from services.tests.given import Given, given
from services.tests.shop import CATALOGUE, ORDER, ORDER_ID, PRICED, USER_ID

POLICY = Policy(deadline_s=30.0)
SERVICE = participant(POLICY, CATALOGUE)
ENTITY = f"order/{ORDER_ID}"
CUSTOMER, TIMED_OUT = Reason.REASON_CANCELLED_BY_CUSTOMER, Reason.REASON_TIMED_OUT

PLACE = api.PlaceOrderRequest(
    order_id=ORDER_ID, user_id=USER_ID, items=ORDER.items, delivery_address=ORDER.delivery_address
)
CANCEL = api.CancelOrderRequest(order_id=ORDER_ID)
TIMEOUT = TimerFired(ENTITY, DEADLINE)
CREATED = Event(ENTITY, events.OrderCreated(order=ORDER, request_hash=hash_of(PLACE)))

REJECTED = InventoryRejected(order=ORDER, detail="product-1: 2 wanted, 1 available")
RELEASED = InventoryReleased(order=PRICED)
UNPAID = PaymentFailed(order=PRICED, detail="too little")
REFUNDED = PaymentRefunded(order=PRICED)
SHIPPED = Shipped(order=PRICED)
UNSHIPPED = ShipmentFailed(order=PRICED, reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE")
STOPPED = ShipmentFailed(order=ORDER, reason=CUSTOMER)
REFUSED = CancellationRefused(order=PRICED)


def recorded(fact: Proto) -> Event:
    known = saga.fact_of(fact)
    return Event(ENTITY, events.FactRecorded(fact=fact.DESCRIPTOR.name, reason=known.reason, detail=known.detail))


def asked(reason: Reason) -> Event:
    return Event(ENTITY, events.OrderCancellationRequested(order=ORDER, reason=reason))


def accepted(*facts: Proto) -> Given:
    """An accepted order of which these facts are known."""
    return given(SERVICE, CREATED, *map(recorded, facts))


def placed(status: OrderStatus) -> Reply:
    return Reply(api.PlaceOrderResponse(order_id=ORDER_ID, status=status))


def cancelling(status: OrderStatus) -> Reply:
    return Reply(api.CancelOrderResponse(order_id=ORDER_ID, status=status))


PENDING, COMPENSATING, COMPLETED, CANCELLED = (
    OrderStatus.ORDER_STATUS_PENDING,
    OrderStatus.ORDER_STATUS_COMPENSATING,
    OrderStatus.ORDER_STATUS_COMPLETED,
    OrderStatus.ORDER_STATUS_CANCELLED,
)


# Placing


def test_an_order_is_accepted_and_its_deadline_runs() -> None:
    given(SERVICE).when(PLACE).then(CREATED, StartTimer(ENTITY, DEADLINE, 30.0), placed(PENDING))


def test_a_repeated_order_is_answered_and_changes_nothing() -> None:
    accepted().when(PLACE).then(placed(PENDING))


@pytest.mark.parametrize(
    ("facts", "status"),
    [([RELEASED], COMPENSATING), ([SHIPPED], COMPLETED), ([REJECTED], CANCELLED)],
    ids=["compensating", "completed", "cancelled"],
)
def test_a_repeated_order_is_answered_with_where_it_is_now(facts: list[Proto], status: OrderStatus) -> None:
    accepted(*facts).when(PLACE).then(placed(status))


def request(*items: tuple[str, int], user_id: str = USER_ID, address: str = ORDER.delivery_address) -> Proto:
    return api.PlaceOrderRequest(
        order_id=ORDER_ID,
        user_id=user_id,
        items=[OrderItem(product_id=i, quantity=q) for i, q in items],
        delivery_address=address,
    )


@pytest.mark.parametrize(
    "other",
    [
        request(("product-1", 3), ("product-2", 1)),
        request(("product-1", 2)),
        request(("product-1", 2), ("product-2", 1), user_id="eve"),
        request(("product-1", 2), ("product-2", 1), address="elsewhere"),
    ],
    ids=["quantity", "products", "user", "address"],
)
def test_another_order_under_the_same_id_is_refused(other: Proto) -> None:
    accepted().when(other).then_refused(ALREADY_EXISTS, "order_id")


def test_the_same_order_written_down_otherwise_is_the_same_order() -> None:
    accepted().when(request(("product-2", 1), ("product-1", 1), ("product-1", 1))).then(placed(PENDING))


def test_the_same_product_twice_is_added_up_and_products_are_sorted() -> None:
    when = given(SERVICE).when(request(("product-2", 1), ("product-1", 1), ("product-1", 1)))
    when.then(CREATED, StartTimer(ENTITY, DEADLINE, 30.0), placed(PENDING))


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([("product-9", 1)], "items[0].product_id"),
        ([("product-1", 1), ("product-9", 1)], "items[1].product_id"),
        ([("product-1", 1001)], "items[0].quantity"),
        ([("product-2", 1), ("product-1", 500), ("product-1", 501)], "items[1].quantity"),
    ],
    ids=["unknown", "the second is unknown", "too many", "too many together"],
)
def test_a_bad_item_is_refused_by_its_field(items: list[tuple[str, int]], field: str) -> None:
    given(SERVICE).when(request(*items)).then_refused(INVALID_ARGUMENT, field)


def test_a_thousand_of_a_product_are_allowed() -> None:
    assert isinstance(given(SERVICE).when(request(("product-1", 500), ("product-1", 500))).effects[0], Event)


def shop_of(count: int, currencies: list[str]) -> Given:
    products = [Product(f"p-{n}", "A product", 1, currencies[n % len(currencies)], 1) for n in range(count)]
    return given(participant(POLICY, {product.product_id: product for product in products}))


def test_at_most_a_hundred_different_products_are_ordered_at_once() -> None:
    shop = shop_of(101, ["USD"])
    assert isinstance(shop.when(request(*((f"p-{n}", 1) for n in range(100)))).effects[0], Event)
    shop.when(request(*((f"p-{n}", 1) for n in range(101)))).then_refused(INVALID_ARGUMENT, "items")


def test_an_order_has_one_currency() -> None:
    shop = shop_of(3, ["USD", "EUR"])
    assert isinstance(shop.when(request(("p-0", 1), ("p-2", 1))).effects[0], Event)
    shop.when(request(("p-0", 1), ("p-1", 1))).then_refused(INVALID_ARGUMENT, "items")


# Cancelling


def test_cancelling_asks_shipping_once() -> None:
    accepted().when(CANCEL).then(asked(CUSTOMER), cancelling(PENDING))
    given(SERVICE, CREATED, asked(CUSTOMER)).when(CANCEL).then(cancelling(PENDING))


def test_cancelling_after_the_deadline_has_asked_asks_no_more() -> None:
    given(SERVICE, CREATED, asked(TIMED_OUT)).when(CANCEL).then(cancelling(PENDING))


@pytest.mark.parametrize("fact", [RELEASED, UNPAID, REFUNDED, UNSHIPPED], ids=lambda fact: fact.DESCRIPTOR.name)
def test_cancelling_an_order_that_is_compensating_asks_nothing(fact: Proto) -> None:
    accepted(fact).when(CANCEL).then(cancelling(COMPENSATING))


@pytest.mark.parametrize("fact", [SHIPPED, REFUSED, REJECTED], ids=lambda fact: fact.DESCRIPTOR.name)
def test_an_order_that_has_ended_cannot_be_cancelled(fact: Proto) -> None:
    accepted(fact).when(CANCEL).then_refused(FAILED_PRECONDITION)


def test_an_order_that_was_never_accepted_cannot_be_cancelled() -> None:
    given(SERVICE).when(CANCEL).then_refused(NOT_FOUND)


# The deadline


def test_the_deadline_asks_shipping_once() -> None:
    accepted().when(TIMEOUT).then(asked(TIMED_OUT))
    given(SERVICE, CREATED, asked(TIMED_OUT)).when(TIMEOUT).then()


def test_the_deadline_asks_even_if_the_customer_has() -> None:
    given(SERVICE, CREATED, asked(CUSTOMER)).when(TIMEOUT).then(asked(TIMED_OUT))


@pytest.mark.parametrize(
    "fact", [RELEASED, UNPAID, REFUNDED, UNSHIPPED, SHIPPED, REFUSED, REJECTED], ids=lambda fact: fact.DESCRIPTOR.name
)
def test_the_deadline_asks_nothing_of_an_order_that_is_compensating_or_has_ended(fact: Proto) -> None:
    accepted(fact).when(TIMEOUT).then()


# Facts: state x fact -> events. Only the facts that end an order say more than that they were seen.

OPEN: dict[str, list[Proto]] = {
    "nothing": [],
    "released": [RELEASED],
    "unpaid": [UNPAID],
    "refunded": [REFUNDED],
    "unshipped": [UNSHIPPED],
    "stopped": [STOPPED],
    "released and refunded": [RELEASED, REFUNDED],
    "released and unshipped": [RELEASED, UNSHIPPED],
    "refunded and stopped": [REFUNDED, STOPPED],
}
FACTS = {
    "rejected": REJECTED,
    "released": RELEASED,
    "unpaid": UNPAID,
    "refunded": REFUNDED,
    "shipped": SHIPPED,
    "unshipped": UNSHIPPED,
    "refused": REFUSED,
}
OUT_OF_STOCK = (Reason.REASON_OUT_OF_STOCK, REJECTED.detail)
NO_FUNDS = (Reason.REASON_INSUFFICIENT_FUNDS, UNPAID.detail)
TOO_LARGE = (Reason.REASON_SHIPMENT_FAILED, "PARCEL_TOO_LARGE")
BY_CUSTOMER = (CUSTOMER, "")
ENDINGS = {
    ("released", "unpaid"): NO_FUNDS,
    ("unpaid", "released"): NO_FUNDS,
    ("released and refunded", "unpaid"): NO_FUNDS,
    ("released and refunded", "unshipped"): TOO_LARGE,
    ("released and unshipped", "refunded"): TOO_LARGE,
    ("released and unshipped", "unpaid"): NO_FUNDS,
    ("refunded and stopped", "released"): BY_CUSTOMER,
    **{(state, "rejected"): OUT_OF_STOCK for state in OPEN},
}
"""(what is known, what comes) -> reason and detail of the cancellation; a shipment or a refused cancel completes."""


@pytest.mark.parametrize(("state", "name"), list(product(OPEN, FACTS)))
def test_a_fact_is_recorded_and_the_first_ending_is_said(state: str, name: str) -> None:
    fact = FACTS[name]
    known = {saga.full_name(type(known)) for known in OPEN[state]}
    when = accepted(*OPEN[state]).when(fact)
    stop = StopTimer(ENTITY, DEADLINE)
    if saga.full_name(type(fact)) in known:
        when.then()
    elif name in ("shipped", "refused"):
        when.then(recorded(fact), Event(ENTITY, events.OrderCompleted(order=PRICED)), stop)
    elif (state, name) in ENDINGS:
        reason, detail = ENDINGS[state, name]
        order = ORDER if fact is REJECTED else PRICED
        ending = events.OrderCancelled(order=order, reason=reason, detail=detail)
        when.then(recorded(fact), Event(ENTITY, ending), stop)
    else:
        when.then(recorded(fact))


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
@pytest.mark.parametrize("ending", [SHIPPED, REJECTED], ids=["completed", "cancelled"])
def test_after_an_ending_facts_are_recorded_and_nothing_ends_again(ending: Proto, fact: Proto) -> None:
    if type(fact) is type(ending):
        accepted(ending).when(fact).then()
    else:
        accepted(ending).when(fact).then(recorded(fact))


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_a_fact_of_an_order_that_was_never_accepted_cannot_happen(fact: Proto) -> None:
    given(SERVICE).cannot(fact)


def test_the_ending_is_not_a_fact_of_its_own() -> None:
    ended = [CREATED, recorded(SHIPPED), Event(ENTITY, events.OrderCompleted(order=PRICED))]
    state = given(SERVICE, *ended).when(CANCEL).state(OrderState, ORDER_ID)
    assert sorted(state.facts) == ["Shipped"]
    assert state.outcome == Outcome(COMPLETED)


def test_the_reason_shows_at_an_ending_only() -> None:
    compensating = accepted(UNSHIPPED).when(RELEASED).state(OrderState, ORDER_ID)
    assert compensating.outcome == Outcome(COMPENSATING)
    ended = accepted(UNSHIPPED, RELEASED).when(REFUNDED).state(OrderState, ORDER_ID)
    assert ended.outcome == Outcome(CANCELLED, "REASON_SHIPMENT_FAILED", "PARCEL_TOO_LARGE")
