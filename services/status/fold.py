"""The status read model: everything known of an order, folded from the public events of all services.

An order is the set of the events seen of it. What is shown of it is a function of that set, so that the order of
arrival does not matter, and seeing an event twice changes nothing. Events that say nothing of how an order goes are
heard only: they are kept in the event log, as all are.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import DeliveryStatus, OrderStatus, Reason
from shop.inventory.v1.events_pb2 import StockReplenished
from shop.notification.v1.events_pb2 import NotificationSent

from services import saga
from services.engine.participant import Effect, Fold, Handler, IndexRow, Participant, Received, State, States
from services.saga import Fact, Outcome
from services.status.figures import COUNTED, Counted, FiguresState, counted, tally

BY_PHASE = "phase"
"""The index of all orders: one bucket of those that are open, and one of each ending."""
BY_USER = "user"
OPEN = "OPEN"
ENDINGS = {OrderStatus.ORDER_STATUS_COMPLETED: "COMPLETED", OrderStatus.ORDER_STATUS_CANCELLED: "CANCELLED"}

_DECIDING = frozenset(row.event.DESCRIPTOR.name for row in saga.SAGA if row.participant == "order")
"""Events that decide an ending: those that the order service tracks."""
_NOT_OF_ORDERS = (StockReplenished, NotificationSent)


class Seen(Fact, frozen=True):
    """What is kept of one event of an order. `accepted_us`: of OrderCreated, when the order came in."""

    time_us: int = 0
    tracking_number: str = ""
    amount_minor: int = 0
    currency: str = ""
    accepted_us: int = 0


class StatusState(State, frozen=True):
    """status/<order id>. `order` is a serialised shop.common.v1.Order: with its total once any event has one.

    position: where it stands among all orders, by the time at which it began
    phase:    OPEN, or one of ENDINGS
    seen:     the events, by their short name; those of which there are several have a suffix that tells them apart
    """

    kind: ClassVar[str] = "status"
    order: bytes = b""
    priced: bool = False
    user_id: str = ""
    position: str = ""
    phase: str = ""
    seen: dict[str, Seen] = {}

    @property
    def outcome(self) -> Outcome:
        return saga.outcome(self.seen)


class Saw(msgspec.Struct, frozen=True):
    """The command that an event of an order means to a read model: note it.

    order:     the shop.common.v1.Order that the event carries
    partition: of its record
    """

    order_id: str
    name: str
    order: Any
    seen: Seen
    partition: int


class Heard(msgspec.Struct, frozen=True):
    """The command of an event that is kept in the log only."""

    order_id: str


class _Names(dict[int, str]):
    """Names of an enum's values, by number. ValueError for one that there is not (yet)."""

    def __init__(self, enum: EnumTypeWrapper) -> None:
        super().__init__({value.number: value.name for value in enum.DESCRIPTOR.values})
        self._enum = enum

    def __missing__(self, number: int) -> str:
        return self._enum.Name(number)  # raises


_REASONS = _Names(Reason)
_STEPS = _Names(DeliveryStatus)


class _Type(NamedTuple):
    """What is to be read of a type's events."""

    name: str
    has_reason: bool
    has_detail: bool
    has_amount: bool
    has_tracking: bool
    has_accepted: bool
    suffix: Callable[[Any], str] | None


def _type(cls: type[Proto]) -> _Type:
    fields = cls.DESCRIPTOR.fields_by_name
    suffixes: dict[str, Callable[[Any], str]] = {
        "DeliveryProgressed": lambda event: _STEPS[event.status],
        "OrderCancellationRequested": lambda event: _REASONS[event.reason],
    }
    name = cls.DESCRIPTOR.name
    return _Type(
        name,
        "reason" in fields,
        "detail" in fields,
        "amount" in fields,
        "tracking_number" in fields,
        "accepted_us" in fields,
        suffixes.get(name),
    )


_TYPES = {cls: _type(cls) for cls in saga.TOPIC_OF if cls not in _NOT_OF_ORDERS}


def saw(received: Received) -> Saw:
    event: Any = received.body
    name, has_reason, has_detail, has_amount, has_tracking, has_accepted, suffix = _TYPES[type(event)]
    order = event.order
    seen = Seen(
        _REASONS[event.reason] if has_reason else saga.NO_REASON,
        event.detail if has_detail else "",
        received.time_us,
        event.tracking_number if has_tracking else "",
        event.amount.amount_minor if has_amount else 0,
        event.amount.currency if has_amount else "",
        event.accepted_us if has_accepted else 0,
    )
    if suffix is not None:
        name = f"{name}/{suffix(event)}"
    return Saw(order.order_id, name, order, seen, received.partition)


def heard(received: Received) -> Heard:
    event: Any = received.body
    return Heard(event.order.order_id if isinstance(event, NotificationSent) else "")


def keys_of_saw(command: Saw) -> list[str]:
    if command.name in COUNTED:
        return [f"status/{command.order_id}", f"figures/{command.partition}"]
    return [f"status/{command.order_id}"]


def note(states: States, command: Saw) -> list[Effect]:
    known = states.get(StatusState, command.order_id).seen
    if command.name in known:
        return []
    effects: list[Effect] = [Fold(f"status/{command.order_id}", command)]
    if command.name in COUNTED:
        effects.append(Fold(f"figures/{command.partition}", _count(command, known)))
    return effects


def _count(command: Saw, known: Mapping[str, Seen]) -> Counted:
    seen = command.seen
    if command.name == "OrderCreated":
        created, ended = seen, known.get("OrderCompleted") or known.get("OrderCancelled")
    else:
        created, ended = known.get("OrderCreated"), seen
    begun_us = None if created is None else created.accepted_us or created.time_us
    ended_us = None if ended is None else ended.time_us
    return tally(command.name, seen.time_us, seen.reason, command.order.total, begun_us, ended_us)


def keys_of_heard(_command: Heard) -> list[str]:
    return []


def nothing(_states: States, _command: Heard) -> list[Effect]:
    return []


def noted(state: StatusState, command: Saw) -> StatusState:
    order, priced = command.order, state.priced
    if not state.order or (not priced and order.HasField("total")):
        kept, priced = order.SerializeToString(), order.HasField("total")
    else:
        kept = state.order
    seen = {**state.seen, command.name: command.seen}
    phase = state.phase or OPEN
    if command.name in _DECIDING:
        phase = ENDINGS.get(saga.outcome(seen).status, OPEN)
    return StatusState(kept, priced, state.user_id or order.user_id, _position(state.position, command), phase, seen)


def _position(known: str, command: Saw) -> str:
    """Milliseconds since 1970, in hex: of the order's id where it is a UUIDv7, or else of its earliest event."""
    order_id = command.order_id
    if order_id[14] == "7":
        return known or order_id[:8] + order_id[9:13]
    position = f"{max(0, command.seen.time_us) // 1000:012x}"
    return min(known, position) if known else position


def index_rows(state: StatusState | FiguresState) -> Iterable[IndexRow]:
    """An order is found among those of its user, and among those that are open or have ended like it."""
    if isinstance(state, FiguresState) or not state.phase:
        return ()
    position = state.position
    return (IndexRow(BY_USER, state.user_id, position), IndexRow(BY_PHASE, state.phase, position))


def participant() -> Participant:
    consumes = {saga.full_name(cls): (cls, heard if cls in _NOT_OF_ORDERS else saw) for cls in saga.TOPIC_OF}
    return Participant(
        name="status",
        topics=saga.topics_of(consumes),
        consumes=consumes,
        handlers={Saw: Handler(keys_of_saw, note), Heard: Handler(keys_of_heard, nothing)},
        folds={Saw: noted, Counted: counted},
        states=(StatusState, FiguresState),
        about=saga.about,
        indexes=index_rows,
        keeps_log=True,
        unhurried=frozenset(saga.full_name(cls) for cls in _NOT_OF_ORDERS),
    )
