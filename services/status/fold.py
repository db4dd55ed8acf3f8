"""The status read model: everything known of an order, folded from the public events of all services.

An order is the set of the events seen of it. The document is a function of that set, so that the order of arrival does
not matter, and seeing an event twice changes nothing. `seq` is the size of the set.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from shop.common.v1.common_pb2 import DeliveryStatus, Money, Order, Reason
from shop.inventory.v1.events_pb2 import StockReplenished
from shop.notification.v1.events_pb2 import NotificationSent
from shop.status.v1 import service_pb2 as pb

from services import saga
from services.engine.participant import Effect, Fold, Handler, Participant, Received, State, States, key
from services.saga import Fact, Outcome

STEPS = [value.name for value in DeliveryStatus.DESCRIPTOR.values]
"""Names of shop.common.v1.DeliveryStatus, in their order."""


class Seen(Fact, frozen=True):
    """What is kept of one event of an order."""

    time_us: int = 0
    service: str = ""
    tracking_number: str = ""
    amount_minor: int = 0
    currency: str = ""


class StatusState(State, frozen=True):
    """status/<order id>. `order` is a serialised shop.common.v1.Order: with its total once any event has one.

    seen: the events, by their short name; those of which there are several have a suffix that tells them apart
    """

    kind: ClassVar[str] = "status"
    order: bytes = b""
    priced: bool = False
    seen: dict[str, Seen] = {}

    @property
    def outcome(self) -> Outcome:
        return saga.outcome(self.seen)


class Saw(msgspec.Struct, frozen=True):
    """The command that an event means to a read model: note it."""

    order_id: str
    name: str
    order: bytes
    priced: bool
    seen: Seen


def saw(received: Received) -> Saw:
    event: Any = received.body
    amount: Money = getattr(event, "amount", Money())
    fact = saga.fact_of(event)
    seen = Seen(
        fact.reason,
        fact.detail,
        received.time_us,
        received.source.rpartition("/")[2],
        getattr(event, "tracking_number", ""),
        amount.amount_minor,
        amount.currency,
    )
    order: Order = event.order
    return Saw(order.order_id, _name(event), order.SerializeToString(), order.HasField("total"), seen)


def _name(event: Any) -> str:
    name: str = event.DESCRIPTOR.name
    match name:
        case "DeliveryProgressed":
            return f"{name}/{DeliveryStatus.Name(event.status)}"
        case "OrderCancellationRequested":
            return f"{name}/{Reason.Name(event.reason)}"
        case _:
            return name


def keys_of_saw(command: Saw) -> list[str]:
    return [key(StatusState, command.order_id)]


def note(states: States, command: Saw) -> list[Effect]:
    if command.name in states.get(StatusState, command.order_id).seen:
        return []
    return [Fold(key(StatusState, command.order_id), command)]


def noted(state: StatusState, command: Saw) -> StatusState:
    better = not state.order or (command.priced and not state.priced)
    return StatusState(
        command.order if better else state.order,
        command.priced or state.priced,
        {**state.seen, command.name: command.seen},
    )


def document(state: StatusState) -> pb.StatusDocument:
    """What `/status` shows of an order."""
    order = Order.FromString(state.order)
    outcome = state.outcome
    timeline = sorted(state.seen.items(), key=lambda item: (item[1].time_us, item[0]))
    return pb.StatusDocument(
        order_id=order.order_id,
        user_id=order.user_id,
        status=outcome.status,
        reason=outcome.reason,
        reason_detail=outcome.detail,
        items=order.items,
        total=order.total if order.HasField("total") else None,
        payment=_payment(state.seen),
        delivery=_delivery(state.seen, order.delivery_address),
        timeline=[_entry(name, seen) for name, seen in timeline],
        seq=len(state.seen),
    )


def _payment(seen: Mapping[str, Seen]) -> pb.Payment:
    amount, refunded = _money(seen.get("PaymentCompleted")), _money(seen.get("PaymentRefunded"))
    if refunded is not None:
        return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_REFUNDED, amount=amount, refunded=refunded)
    if "PaymentFailed" in seen:
        return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_FAILED)
    if amount is not None:
        return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_COMPLETED, amount=amount)
    return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_PENDING)


def _money(seen: Seen | None) -> Money | None:
    return None if seen is None else Money(amount_minor=seen.amount_minor, currency=seen.currency)


def _delivery(seen: Mapping[str, Seen], address: str) -> pb.Delivery:
    shipped = seen.get("Shipped")
    if shipped is None:
        return pb.Delivery(address=address)
    reached = [step for step in STEPS if f"DeliveryProgressed/{step}" in seen]
    status = reached[-1] if reached else "DELIVERY_STATUS_PENDING"
    return pb.Delivery(status=status, tracking_number=shipped.tracking_number, address=address)


def _entry(name: str, seen: Seen) -> pb.TimelineEntry:
    short, _, suffix = name.partition("/")
    time = Timestamp(seconds=seen.time_us // 1_000_000, nanos=seen.time_us % 1_000_000 * 1000)
    detail = seen.detail or suffix.removeprefix("DELIVERY_STATUS_").removeprefix("REASON_")
    return pb.TimelineEntry(type=short, time=time, service=seen.service, detail=detail)


def participant() -> Participant:
    events = [cls for cls in saga.TOPIC_OF if cls not in (StockReplenished, NotificationSent)]
    consumes = {saga.full_name(cls): (cls, saw) for cls in events}
    return Participant(
        name="status",
        topics=saga.topics_of(consumes),
        consumes=consumes,
        handlers={Saw: Handler(keys_of_saw, note)},
        folds={Saw: noted},
        states=(StatusState,),
        about=saga.about,
    )
