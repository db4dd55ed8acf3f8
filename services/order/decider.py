"""All the business of order: accept orders, ask for their cancellation, say once how each ends.

An order is a growing set of facts and one formula (`saga.outcome`). Order decides nothing about cancelling: it asks,
and shipping answers. The deadline asks the same, once, so that an order whose message was lost ends by itself.
"""

import hashlib
from functools import partial
from typing import Any, ClassVar

import msgspec
from google.rpc.code_pb2 import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND
from shop.common.v1.common_pb2 import Order, OrderItem, OrderStatus
from shop.order.v1 import events_pb2 as events
from shop.order.v1 import service_pb2 as api

from services import saga
from services.catalogue import Catalogue
from services.engine.participant import (
    CannotHappen,
    Effect,
    Event,
    Handler,
    Participant,
    Refusal,
    Reply,
    StartTimer,
    State,
    States,
    StopTimer,
    TimerFired,
    key,
    key_of_timer,
)
from services.saga import Fact, Outcome

DEADLINE = "deadline"
PRODUCTS_MAX = 100
QUANTITY_MAX = 1000


class Policy(msgspec.Struct, frozen=True):
    """deadline_s: seconds after acceptance when order asks shipping to stop, if it has not ended by then."""

    deadline_s: float = 30.0


class OrderState(State, frozen=True):
    """order/<order id>; `order` is what was accepted, a serialised shop.common.v1.Order; '' if nothing was.

    asked: the reasons (names of shop.common.v1.Reason) of the cancellation requests that were sent
    facts: short names of the events that decide how it ends
    """

    kind: ClassVar[str] = "order"
    order: bytes = b""
    request_hash: bytes = b""
    asked: tuple[str, ...] = ()
    facts: dict[str, Fact] = {}
    accepted_us: int = 0

    @property
    def outcome(self) -> Outcome:
        return saga.outcome(self.facts)


def keys_of_request(command: api.PlaceOrderRequest | api.CancelOrderRequest) -> list[str]:
    return [key(OrderState, command.order_id)]


def keys_of_fact(command: Any) -> list[str]:
    return [key(OrderState, command.order.order_id)]


def place(policy: Policy, catalogue: Catalogue, states: States, command: api.PlaceOrderRequest) -> list[Effect]:
    entity = key(OrderState, command.order_id)
    before = states.get(OrderState, command.order_id)
    request_hash = hash_of(command)
    if before.order:
        if before.request_hash != request_hash:
            return [Refusal(ALREADY_EXISTS, "the order id was used for another order", "order_id")]
        return [Reply(api.PlaceOrderResponse(order_id=command.order_id, status=before.outcome.status))]
    refusal = check(catalogue, command)
    if refusal is not None:
        return [refusal]
    order = Order(
        order_id=command.order_id,
        user_id=command.user_id,
        items=[OrderItem(product_id=i, quantity=q) for i, q in quantities(command).items()],
        delivery_address=command.delivery_address,
    )
    pending = OrderStatus.ORDER_STATUS_PENDING
    return [
        Event(entity, events.OrderCreated(order=order, request_hash=request_hash, accepted_us=command.accepted_us)),
        StartTimer(entity, DEADLINE, policy.deadline_s),
        Reply(api.PlaceOrderResponse(order_id=command.order_id, status=pending)),
    ]


def quantities(command: api.PlaceOrderRequest) -> dict[str, int]:
    """Product -> pieces, sorted by product; the same product twice is added up."""
    total: dict[str, int] = {}
    for item in command.items:
        total[item.product_id] = total.get(item.product_id, 0) + item.quantity
    return dict(sorted(total.items()))


def hash_of(command: api.PlaceOrderRequest) -> bytes:
    """SHA-256 of what is asked, the same however the items are written down."""
    asked = (command.user_id, quantities(command), command.delivery_address)
    return hashlib.sha256(msgspec.json.encode(asked)).digest()


def check(catalogue: Catalogue, command: api.PlaceOrderRequest) -> Refusal | None:
    """Why the catalogue does not allow the order, naming the first field at fault."""
    total = quantities(command)
    currencies: set[str] = set()
    for n, item in enumerate(command.items):
        product = catalogue.get(item.product_id)
        if product is None:
            return Refusal(INVALID_ARGUMENT, f"there is no product {item.product_id}", f"items[{n}].product_id")
        if total[item.product_id] > QUANTITY_MAX:
            return Refusal(INVALID_ARGUMENT, f"at most {QUANTITY_MAX} of a product", f"items[{n}].quantity")
        currencies.add(product.currency)
    if len(total) > PRODUCTS_MAX:
        return Refusal(INVALID_ARGUMENT, f"at most {PRODUCTS_MAX} different products", "items")
    if len(currencies) > 1:
        return Refusal(INVALID_ARGUMENT, "an order has one currency", "items")
    return None


def cancel(states: States, command: api.CancelOrderRequest) -> list[Effect]:
    state = states.get(OrderState, command.order_id)
    if not state.order:
        return [Refusal(NOT_FOUND, f"there is no order {command.order_id}")]
    now = state.outcome
    if now.ended:
        name = OrderStatus.Name(now.status).removeprefix("ORDER_STATUS_")
        return [Refusal(FAILED_PRECONDITION, f"the order has ended: {name}")]
    reply = Reply(api.CancelOrderResponse(order_id=command.order_id, status=now.status))
    if state.asked or now.status == OrderStatus.ORDER_STATUS_COMPENSATING:
        return [reply]
    return [_ask(state, command.order_id, "REASON_CANCELLED_BY_CUSTOMER"), reply]


def time_out(states: States, command: TimerFired) -> list[Effect]:
    """Asks once, even if the customer has asked; not when the order has ended or is compensating."""
    state = states.get(OrderState, command.entity_id)
    over = state.outcome.ended or state.outcome.status == OrderStatus.ORDER_STATUS_COMPENSATING
    if over or "REASON_TIMED_OUT" in state.asked:
        return []
    return [_ask(state, command.entity_id, "REASON_TIMED_OUT")]


def _ask(state: OrderState, order_id: str, reason: str) -> Event:
    requested = events.OrderCancellationRequested(order=Order.FromString(state.order), reason=reason)
    return Event(key(OrderState, order_id), requested)


def track(states: States, command: Any) -> list[Effect]:
    """Records an event that decides how an order ends; at the first ending, says so and stops the deadline."""
    order_id = command.order.order_id
    name = command.DESCRIPTOR.name
    state = states.get(OrderState, order_id)
    entity = key(OrderState, order_id)
    if not state.order:
        raise CannotHappen(f"{name} of an order that was never accepted")
    if name in state.facts:
        return []
    fact = saga.fact_of(command)
    recorded = events.FactRecorded(fact=name, reason=fact.reason, detail=fact.detail)
    effects: list[Effect] = [Event(entity, recorded)]
    after = fact_recorded(state, recorded).outcome
    if after.ended and not state.outcome.ended:
        effects += [Event(entity, _ending(command.order, after)), StopTimer(entity, DEADLINE)]
    return effects


def _ending(order: Order, outcome: Outcome) -> events.OrderCompleted | events.OrderCancelled:
    if outcome.status == OrderStatus.ORDER_STATUS_COMPLETED:
        return events.OrderCompleted(order=order)
    return events.OrderCancelled(order=order, reason=outcome.reason, detail=outcome.detail)


def created(_: OrderState, event: events.OrderCreated) -> OrderState:
    return OrderState(event.order.SerializeToString(), event.request_hash, accepted_us=event.accepted_us)


def asked(state: OrderState, event: events.OrderCancellationRequested) -> OrderState:
    return msgspec.structs.replace(state, asked=(*state.asked, saga.fact_of(event).reason))


def fact_recorded(state: OrderState, event: events.FactRecorded) -> OrderState:
    return msgspec.structs.replace(state, facts={**state.facts, event.fact: saga.fact_of(event)})


def ended(state: OrderState, _: events.OrderCompleted | events.OrderCancelled) -> OrderState:
    return state


def participant(policy: Policy, catalogue: Catalogue) -> Participant:
    consumes = saga.consumed_by("order")
    tracking = Handler(keys_of_fact, track)
    return Participant(
        name="order",
        topics=saga.topics_of(consumes),
        consumes=consumes,
        handlers={
            **{cls: tracking for cls, _ in consumes.values()},
            TimerFired: Handler(key_of_timer, time_out),
            api.PlaceOrderRequest: Handler(keys_of_request, partial(place, policy, catalogue)),
            api.CancelOrderRequest: Handler(keys_of_request, cancel),
        },
        folds={
            events.OrderCreated: created,
            events.OrderCancellationRequested: asked,
            events.FactRecorded: fact_recorded,
            events.OrderCompleted: ended,
            events.OrderCancelled: ended,
        },
        states=(OrderState,),
        public=saga.PUBLIC,
        about=saga.about,
    )
