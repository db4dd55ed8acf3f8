"""All the business of shipping: ship or refuse a parcel, decide the race with a cancellation, deliver.

| shipment | Ship | Stop(reason) |
|---|---|---|
| none | Shipped -> shipped, or ShipmentFailed -> failed | ShipmentFailed(reason) -> failed |
| shipped | - | CancellationRefused -> refused |
| failed, refused | - | - |

`failed` before Ship is the tombstone of a cancellation that came first. A parcel under way is delivered, whether
or not somebody wanted to stop it.
"""

import hashlib
from functools import partial
from typing import ClassVar, Literal

import msgspec
from shop.common.v1.common_pb2 import DeliveryStatus, Order, Reason
from shop.shipping.v1 import events_pb2 as events
from shop.shipping.v1.commands_pb2 import ShipOrder, StopShipment

from services import saga
from services.engine.participant import (
    Effect,
    Event,
    Handler,
    Participant,
    StartTimer,
    State,
    States,
    TimerFired,
    key,
    key_of_timer,
)

DELIVERY = "delivery"
"""The timer that takes a parcel one step on."""
NEXT_STEP = {
    "DELIVERY_STATUS_PENDING": "DELIVERY_STATUS_IN_TRANSIT",
    "DELIVERY_STATUS_IN_TRANSIT": "DELIVERY_STATUS_OUT_FOR_DELIVERY",
    "DELIVERY_STATUS_OUT_FOR_DELIVERY": "DELIVERY_STATUS_DELIVERED",
}


class Policy(msgspec.Struct, frozen=True):
    """delivery_step_s: seconds from one step of a delivery to the next; parcel_units_max: pieces in one parcel."""

    delivery_step_s: float = 2.0
    parcel_units_max: int = 20


class Shipment(State, frozen=True):
    """shipment/<order id>; `order` is the order as it came, a serialised shop.common.v1.Order.

    delivery: a name of shop.common.v1.DeliveryStatus, or '' before it shipped
    """

    kind: ClassVar[str] = "shipment"
    status: Literal["none", "shipped", "failed", "refused"] = "none"
    tracking_number: str = ""
    delivery: str = ""
    order: bytes = b""


def keys_of_order(command: ShipOrder | StopShipment) -> list[str]:
    return [key(Shipment, command.order.order_id)]


def ship(policy: Policy, states: States, command: ShipOrder) -> list[Effect]:
    order = command.order
    if states.get(Shipment, order.order_id).status != "none":
        return []
    entity = key(Shipment, order.order_id)
    if sum(item.quantity for item in order.items) > policy.parcel_units_max:
        failed = events.ShipmentFailed(order=order, reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE")
        return [Event(entity, failed)]
    return [
        Event(entity, events.Shipped(order=order, tracking_number=tracking_number(order.order_id))),
        StartTimer(entity, DELIVERY, policy.delivery_step_s),
    ]


def tracking_number(order_id: str) -> str:
    """The same for the same order: nothing in a business rule is random."""
    return f"SP-{hashlib.sha256(order_id.encode()).hexdigest()[:12].upper()}"


def stop(states: States, command: StopShipment) -> list[Effect]:
    order = command.order
    entity = key(Shipment, order.order_id)
    before = states.get(Shipment, order.order_id)
    match before.status:
        case "none":
            return [Event(entity, events.ShipmentFailed(order=order, reason=command.reason))]
        case "shipped":
            # As it has shipped, with its prices: who asks for a stop may not know them, and an ending may follow.
            return [Event(entity, events.CancellationRefused(order=Order.FromString(before.order)))]
        case _:
            return []


def deliver(policy: Policy, states: States, command: TimerFired) -> list[Effect]:
    shipment = states.get(Shipment, command.entity_id)
    following = NEXT_STEP.get(shipment.delivery)
    if following is None:
        return []
    progressed = events.DeliveryProgressed(
        order=Order.FromString(shipment.order),
        status=following,
        tracking_number=shipment.tracking_number,
    )
    effects: list[Effect] = [Event(command.entity, progressed)]
    if following in NEXT_STEP:
        effects.append(StartTimer(command.entity, DELIVERY, policy.delivery_step_s))
    return effects


def shipped(_: Shipment, event: events.Shipped) -> Shipment:
    return Shipment("shipped", event.tracking_number, "DELIVERY_STATUS_PENDING", event.order.SerializeToString())


def failed(_: Shipment, __: events.ShipmentFailed) -> Shipment:
    return Shipment("failed")


def refused(state: Shipment, _: events.CancellationRefused) -> Shipment:
    return Shipment("refused", state.tracking_number, state.delivery, state.order)


def progressed(state: Shipment, event: events.DeliveryProgressed) -> Shipment:
    return Shipment(state.status, state.tracking_number, DeliveryStatus.Name(event.status), state.order)


def participant(policy: Policy, mode: saga.Mode = "choreographed") -> Participant:
    path = saga.path_of("shipping", mode)
    return Participant(
        name="shipping",
        group=path.group,
        topics=path.topics,
        consumes=path.consumes,
        handlers={
            ShipOrder: Handler(keys_of_order, partial(ship, policy)),
            StopShipment: Handler(keys_of_order, stop),
            TimerFired: Handler(key_of_timer, partial(deliver, policy)),
        },
        folds={
            events.Shipped: shipped,
            events.ShipmentFailed: failed,
            events.CancellationRefused: refused,
            events.DeliveryProgressed: progressed,
        },
        states=(Shipment,),
        public=saga.PUBLIC,
        about=saga.about,
    )
