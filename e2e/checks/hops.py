"""Where an order's saga left its table: the first hop that is missing, the first that is too much.

A hop is a row of the saga table that was gone: "payment: InventoryConfirmed -> PaymentCompleted". A row whose event was
said must be answered, unless an undo was first, or there was nothing to undo: `SETTLES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.message import Message as Proto
from shop.inventory.v1.commands_pb2 import CommitReservation, ReleaseInventory, ReserveInventory
from shop.notification.v1.commands_pb2 import Notify
from shop.payment.v1.commands_pb2 import ChargePayment, RefundPayment
from shop.shipping.v1.commands_pb2 import ShipOrder, StopShipment

from e2e.checks.facts import ENDINGS, Event, Order
from services import saga
from services.saga import ORCHESTRATED, SAGA, Fact, Outcome, Row

SETTLES: Mapping[type[Proto], tuple[str, ...]] = {
    ReserveInventory: ("InventoryConfirmed", "InventoryRejected", "InventoryReleased"),
    ChargePayment: ("PaymentCompleted", "PaymentFailed", "PaymentRefunded"),
    ShipOrder: ("Shipped", "ShipmentFailed"),
    CommitReservation: ("StockCommitted",),
    ReleaseInventory: ("InventoryReleased", "InventoryRejected"),
    RefundPayment: ("PaymentRefunded", "PaymentFailed"),
    StopShipment: ("ShipmentFailed", "CancellationRefused"),
}
"""Command -> the events one of which its participant has, once it has dealt with it. A row more: its own answers."""

_TRACKED = frozenset(row.event.DESCRIPTOR.name for row in SAGA if row.participant == "order")
_PLAIN = Fact()


def outcome_of(events: Iterable[Event]) -> Outcome:
    """Where an order is by the formula over these events."""
    return saga.outcome(
        {e.name: saga.fact_of(e.body) if e.name in _TRACKED and e.body is not None else _PLAIN for e in events}
    )


def missing(order: Order) -> str:
    """The first row of the table that was called and has not answered; '' if there is none."""
    names = {event.name for event in order.events}
    recorded = {e.body.fact for e in order.have("FactRecorded") if e.body is not None}
    told = {e.body.about for e in order.have("NotificationSent") if e.body is not None}
    for row in SAGA:
        event = row.event.DESCRIPTOR.name
        if event not in names:
            continue
        if row.participant == "order":
            if event not in recorded:
                return _hop("order", event, _ending_or(order, "FactRecorded"))
        elif row.command is Notify:
            if event not in told:
                return _hop(row.participant, event, "NotificationSent")
        elif not names.intersection(_settles(row)):
            return _unanswered(order, row, names)
    ended = outcome_of(order.read_by("order")).ended and not names.intersection(ENDINGS)
    return _hop("order", _last_tracked(order), _ending_or(order, "")) if ended else ""


def unasked(order: Order) -> tuple[Event, str] | None:
    """The first event that answers a row of the table of which no event was said, and the hop that it is."""
    names = {event.name for event in (*order.events, *order.slipped)}
    for event in order.events:
        if event.name == "NotificationSent" and event.body is not None and event.body.about not in names:
            return event, _hop("notification", event.body.about, event.name)
        callers = _CALLERS.get(event.name)
        if callers and not names.intersection(callers):
            return event, hop_to(order, event.name)
    return None


STANDS_FOR = {
    "StockReserved": "InventoryConfirmed",
    "StockReturned": "InventoryReleased",
    "StockDispatched": "StockCommitted",
    "AccountDebited": "PaymentCompleted",
    "AccountCredited": "PaymentRefunded",
}
"""What happens to stock and accounts -> the answer of the same decision."""


def hop_to(order: Order, name: str) -> str:
    """The hop that leads to an event of this name: from an event that the order has, if there is one."""
    name = STANDS_FOR.get(name, name)
    rows = _ROWS_TO.get(name)
    if not rows:
        return f"order: PlaceOrder -> {name}"
    row = next((row for row in rows if order.have(row.event.DESCRIPTOR.name)), rows[0])
    return _hop(row.participant, row.event.DESCRIPTOR.name, name)


def taken(order: Order | None, event: Event) -> str:
    """The hop that led to this event, by its cause; if that is not known, one that leads to such events."""
    name = STANDS_FOR.get(event.name, event.name)
    if order is None:
        return f"{event.service}: {name}"
    causes = {e.name for e in order.events if e.message_id == event.cause_id}
    for row in _ROWS_TO.get(name, ()):
        if causes.intersection((row.event.DESCRIPTOR.name, row.command.DESCRIPTOR.name)):
            return _hop(row.participant, row.event.DESCRIPTOR.name, name)
    if name in _ROWS_TO or name == "OrderCreated":
        return hop_to(order, name)
    return _hop(event.service, next(iter(causes), "nothing known"), name)


def hop_of(participant: str, event: str) -> str:
    """What the participant should have made of an event of this name; what it would have heard, if nothing."""
    row = next((row for row in SAGA if row.participant == participant and row.event.DESCRIPTOR.name == event), None)
    return f"{participant}: {event}" if row is None else _hop(participant, event, " or ".join(_answers(row)))


def _answers(row: Row) -> tuple[str, ...]:
    """Short names of what the row answers with; a commitment is answered in private."""
    return tuple(answer.DESCRIPTOR.name for answer in row.answers) or _settles(row)


def _settles(row: Row) -> tuple[str, ...]:
    return SETTLES.get(row.command) or tuple(answer.DESCRIPTOR.name for answer in row.answers)


_ROWS_TO: dict[str, list[Row]] = {}
for _row in SAGA:
    for _name in _answers(_row):
        _ROWS_TO.setdefault(_name, []).append(_row)
_CALLERS = {
    name: frozenset(row.event.DESCRIPTOR.name for row in rows)
    for name, rows in _ROWS_TO.items()
    if name != "NotificationSent"
}


def _unanswered(order: Order, row: Row, names: set[str]) -> str:
    event, command = row.event.DESCRIPTOR.name, row.command.DESCRIPTOR.name
    if order.setting.mode == "orchestrated" and row.participant in ORCHESTRATED and command not in names:
        return _hop("orchestrator", event, command)
    return _hop(row.participant, event, " or ".join(_answers(row)))


def _ending_or(order: Order, other: str) -> str:
    outcome = outcome_of(order.read_by("order"))
    if not outcome.ended or any(order.have(name) for name in ENDINGS):
        return other
    return ENDINGS[0] if saga.OrderStatus.Name(outcome.status).endswith("COMPLETED") else ENDINGS[1]


def _last_tracked(order: Order) -> str:
    tracked: Iterator[str] = (e.body.fact for e in reversed(order.have("FactRecorded")) if e.body is not None)
    return next(tracked, "OrderCreated")


def _hop(participant: str, event: str, answer: str) -> str:
    return f"{participant}: {event} -> {answer}"
