"""The saga, as one table: who answers which event with which command, and how an order ends.

Everything that depends on the saga's shape is made from `SAGA`: what each participant consumes, what the orchestrator
sends, the generic tests, the state diagram and the topic map in the docs.

It has two executors. Choreographed, each participant turns the events of its rows into commands for itself.
Orchestrated, the orchestrator does so by the same rows for those whom it commands, and sends the commands.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import OrderStatus, Reason
from shop.inventory.v1.commands_pb2 import CommitReservation, ReleaseInventory, ReserveInventory
from shop.inventory.v1.events_pb2 import InventoryConfirmed, InventoryRejected, InventoryReleased, StockReplenished
from shop.notification.v1.commands_pb2 import Notify
from shop.notification.v1.events_pb2 import NotificationSent
from shop.order.v1.events_pb2 import OrderCancellationRequested, OrderCancelled, OrderCompleted, OrderCreated
from shop.payment.v1.commands_pb2 import ChargePayment, RefundPayment
from shop.payment.v1.events_pb2 import PaymentCompleted, PaymentFailed, PaymentRefunded
from shop.shipping.v1.commands_pb2 import ShipOrder, StopShipment
from shop.shipping.v1.events_pb2 import CancellationRefused, DeliveryProgressed, ShipmentFailed, Shipped

from services.engine.participant import Received, TimerFired
from services.topics import ORCHESTRATED, commands_topic


class Row(NamedTuple):
    """On `event`, `participant` carries out `command`, and answers with one of `answers` (or nothing).

    The order service tracks the event itself: there `command` is the event's own class.
    """

    participant: str
    event: type[Proto]
    command: type[Proto]
    answers: tuple[type[Proto], ...]


def _track(event: type[Proto]) -> Row:
    return Row("order", event, event, (OrderCompleted, OrderCancelled))


def _notify(event: type[Proto]) -> Row:
    return Row("notification", event, Notify, (NotificationSent,))


SAGA: tuple[Row, ...] = (
    Row("inventory", OrderCreated, ReserveInventory, (InventoryConfirmed, InventoryRejected)),
    Row("payment", InventoryConfirmed, ChargePayment, (PaymentCompleted, PaymentFailed)),
    Row("shipping", PaymentCompleted, ShipOrder, (Shipped, ShipmentFailed)),
    Row("inventory", Shipped, CommitReservation, ()),
    Row("inventory", PaymentFailed, ReleaseInventory, (InventoryReleased,)),
    Row("inventory", ShipmentFailed, ReleaseInventory, (InventoryReleased,)),
    Row("payment", ShipmentFailed, RefundPayment, (PaymentRefunded,)),
    Row("shipping", OrderCancellationRequested, StopShipment, (ShipmentFailed, CancellationRefused)),
    # InventoryConfirmed and PaymentCompleted decide nothing of how an order ends: order does not track them.
    *map(
        _track,
        (
            InventoryRejected,
            InventoryReleased,
            PaymentFailed,
            PaymentRefunded,
            Shipped,
            ShipmentFailed,
            CancellationRefused,
        ),
    ),
    *map(_notify, (InventoryConfirmed, PaymentCompleted, Shipped, OrderCompleted, OrderCancelled)),
)

TOPIC_OF: Mapping[type[Proto], str] = {
    **dict.fromkeys((OrderCreated, OrderCancellationRequested, OrderCompleted, OrderCancelled), "orders"),
    **dict.fromkeys((InventoryConfirmed, InventoryRejected, InventoryReleased, StockReplenished), "inventory"),
    **dict.fromkeys((PaymentCompleted, PaymentFailed, PaymentRefunded), "payment"),
    **dict.fromkeys((Shipped, ShipmentFailed, CancellationRefused, DeliveryProgressed), "shipping"),
    NotificationSent: "notification",
}
"""Every public event. All others are private to the service that stores them."""

if len({(row.participant, row.event) for row in SAGA}) != len(SAGA):
    raise AssertionError("an event means more than one command to the same participant")

Mode = Literal["choreographed", "orchestrated"]
Translation = tuple[type[Proto], Callable[[Received], Any]]

ORCHESTRATED_ROWS = tuple(row for row in SAGA if row.participant in ORCHESTRATED)


def full_name(cls: type[Proto]) -> str:
    """For example `shop.order.v1.OrderCreated`."""
    return cls.DESCRIPTOR.full_name


PUBLIC: Mapping[str, str] = {full_name(cls): topic for cls, topic in TOPIC_OF.items()}
"""Full name of a public event's type -> its topic."""


COMMANDS: Mapping[str, str] = {full_name(row.command): commands_topic(row.participant) for row in ORCHESTRATED_ROWS}
"""Full name of a command that the orchestrator sends -> its topic."""


class Path(NamedTuple):
    """How the commands of its rows reach a participant: see `Participant`.

    Each path has a consumer group of its own, so that whoever comes back to it goes on where it was, and skips nothing.
    What is consumed is the same on both: a dead letter of the other path can be replayed.
    """

    group: str
    topics: list[str]
    consumes: dict[str, Translation]


def path_of(participant: str, mode: Mode) -> Path:
    """Of the two that those have whom the orchestrator commands, the one of this mode; all others have one."""
    consumes = consumed_by(participant)
    if participant not in ORCHESTRATED:
        return Path(participant, topics_of(consumes), consumes)
    events = topics_of(consumes)
    for row in ORCHESTRATED_ROWS:
        if row.participant == participant:
            consumes[full_name(row.command)] = (row.command, _the_command_itself)
    if mode == "choreographed":
        return Path(participant, events, consumes)
    return Path(f"{participant}-commands", [commands_topic(participant)], consumes)


def _the_command_itself(received: Received) -> Any:
    return received.body


def consumed_by(participant: str) -> dict[str, Translation]:
    """The events of a participant's rows, and what they mean to it: see `Participant.consumes`."""
    return {full_name(row.event): (row.event, _translation(row)) for row in SAGA if row.participant == participant}


OF_INTEREST: tuple[type[Proto], ...] = tuple(
    dict.fromkeys(event for row in ORCHESTRATED_ROWS for event in (row.event, *row.answers))
)
"""What the orchestrator consumes: the events of its rows, and their answers, of which some only end the saga."""


def commands_on(received: Received) -> list[Proto]:
    """The commands that the orchestrator sends on an event: each row's, whatever else is known of the order.

    They depend on nothing but the event. So the same set of events leads to the same commands, in whatever order they
    come, and to the commands of the other mode.
    """
    return [translate(received) for translate in _TRANSLATIONS.get(type(received.body), ())]


def unhurried(participant: str) -> frozenset[str]:
    """What comes to a participant and asks for no answer: no order waits for it. Full names, in both modes."""
    rows = [row for row in SAGA if row.participant == participant and not row.answers]
    return frozenset(full_name(cls) for row in rows for cls in (row.event, row.command))


def topics_of(consumes: Mapping[str, Translation]) -> list[str]:
    """The topics on which those events come, sorted."""
    return sorted({PUBLIC[name] for name in consumes})


def _translation(row: Row) -> Callable[[Received], Any]:
    if row.command is row.event:
        return lambda received: received.body
    if row.command is Notify:
        return lambda received: Notify(order=_order(received), about=row.event.DESCRIPTOR.name)
    if row.command is StopShipment:
        return lambda received: StopShipment(order=_order(received), reason=fact_of(received.body).reason)
    command: Any = row.command
    return lambda received: command(order=_order(received))


_TRANSLATIONS: Mapping[type[Proto], tuple[Callable[[Received], Any], ...]] = {
    event: tuple(_translation(row) for row in ORCHESTRATED_ROWS if row.event is event) for event in OF_INTEREST
}


def _order(received: Received) -> Any:
    event: Any = received.body
    return event.order


def about(command: Any) -> dict[str, str]:
    """The order that a command concerns, for log lines."""
    if isinstance(command, TimerFired):
        return {"order_id": command.entity_id}
    order_id = getattr(command, "order_id", "") or getattr(getattr(command, "order", None), "order_id", "")
    return {"order_id": order_id} if order_id else {}


NO_REASON = Reason.Name(Reason.REASON_UNSPECIFIED)


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of an event that says how an order goes; `reason` is a name of shop.common.v1.Reason."""

    reason: str = NO_REASON
    detail: str = ""


def fact_of(event: Any) -> Fact:
    """Of any event: not every type has a reason or a detail."""
    return Fact(Reason.Name(getattr(event, "reason", Reason.REASON_UNSPECIFIED)), getattr(event, "detail", ""))


class Outcome(NamedTuple):
    """Reason (a name of shop.common.v1.Reason) and detail are set at an ending only."""

    status: OrderStatus
    reason: str = NO_REASON
    detail: str = ""

    @property
    def ended(self) -> bool:
        return self.status in (OrderStatus.ORDER_STATUS_COMPLETED, OrderStatus.ORDER_STATUS_CANCELLED)


_COMPENSATIONS = {"InventoryReleased", "PaymentFailed", "PaymentRefunded", "ShipmentFailed"}


def outcome(facts: Mapping[str, Fact]) -> Outcome:
    """Where an order is, from the short names of the events known of it; the order of arrival does not matter.

    One formula for the order service and every read model. A fact more never leads back.
    """
    if "Shipped" in facts or "CancellationRefused" in facts:
        return Outcome(OrderStatus.ORDER_STATUS_COMPLETED)
    released = "InventoryReleased" in facts
    if (
        "InventoryRejected" in facts
        or (released and "PaymentFailed" in facts)
        or (released and "PaymentRefunded" in facts and "ShipmentFailed" in facts)
    ):
        return Outcome(OrderStatus.ORDER_STATUS_CANCELLED, *_why(facts))
    if _COMPENSATIONS & facts.keys():
        return Outcome(OrderStatus.ORDER_STATUS_COMPENSATING)
    if "PaymentCompleted" in facts:
        return Outcome(OrderStatus.ORDER_STATUS_AWAITING_SHIPMENT)
    if "InventoryConfirmed" in facts:
        return Outcome(OrderStatus.ORDER_STATUS_AWAITING_PAYMENT)
    return Outcome(OrderStatus.ORDER_STATUS_PENDING)


def _why(facts: Mapping[str, Fact]) -> tuple[str, str]:
    if "InventoryRejected" in facts:
        return "REASON_OUT_OF_STOCK", facts["InventoryRejected"].detail
    if "PaymentFailed" in facts:
        return "REASON_INSUFFICIENT_FUNDS", facts["PaymentFailed"].detail
    failed = facts["ShipmentFailed"]
    return failed.reason, failed.detail
