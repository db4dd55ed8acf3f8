"""A history as checks read it: in one pass, every event decoded once and filed by order, by entity and by message id.

An event is known from the store of the service that said it, from the topic, or from both; which of the two it lacks
is for the checks to judge. All copies of a record are one event here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto
from google.protobuf.message_factory import GetMessageClass
from shop.admin.v1.events_pb2 import DeadLettered
from shop.orchestrator.v1.events_pb2 import StepTaken

from e2e.history import Accepted, FaultSpan, History, Observed, Published, StatusAtEnd, Stored
from services.saga import SAGA, TOPIC_OF

ENDINGS = ("OrderCompleted", "OrderCancelled")

_SOME: Sequence[Any] = (DeadLettered, StepTaken, *TOPIC_OF, *(row.command for row in SAGA))
"""At least one message of each proto file that has events or commands."""
_FILES: Mapping[str, Any] = {cls.DESCRIPTOR.file.name: cls.DESCRIPTOR.file for cls in _SOME}
_CLASSES: Mapping[str, type[Proto]] = {
    message.full_name: GetMessageClass(message)
    for file in _FILES.values()
    for message in file.message_types_by_name.values()
}
_OF_ORDERS = frozenset({"order", "reservation", "charge", "shipment", "told", "saga"})
"""Kinds of entities of which each order has one: what is private there need not name its order."""

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Event(msgspec.Struct, gc=False):
    """Something that a service said.

    name:      the short name of its type
    body:      decoded; None where that cannot be done
    order_id:  '' if it is of no order
    stored:    the row of the service's store, None if it is on a topic only
    records:   its copies on the topic
    unread_by: of a poisoned record: the services that must dead-letter it
    """

    service: str
    name: str
    body: Any
    order_id: str
    message_id: str
    cause_id: str
    time_us: int
    stored: Stored | None = None
    records: list[Published] = []
    unread_by: Sequence[str] = ()


class Setting(msgspec.Struct):
    """What all orders of a history share. faulty: spans without overlap (from, to) in which something was broken."""

    mode: Literal["choreographed", "orchestrated", "both"]
    deadline_us: int
    faulty: list[tuple[int, int]]


class Order(msgspec.Struct):
    """Everything about one order.

    events: of all services, each store in order
    named:  the same, by short name
    slipped: what was slipped into the topics in its name, and can be decoded
    lost:   whether one of its records was made unreadable: what it should have led to may be missing
    """

    order_id: str
    setting: Setting
    accepted: Accepted | None = None
    events: list[Event] = []
    named: dict[str, list[Event]] = {}
    slipped: list[Event] = []
    lost: bool = False
    observed: list[Observed] = []
    at_end: StatusAtEnd | None = None

    def have(self, name: str) -> list[Event]:
        """Its events of this name, stored or said."""
        return self.named.get(name, [])

    def read_by(self, service: str) -> list[Event]:
        """What the topics hold of it for this service."""
        return [e for e in self.events if e.records] + [e for e in self.slipped if service not in e.unread_by]

    def said(self, names: Iterable[str]) -> list[Event]:
        """What topics hold of these names."""
        return [event for name in names for event in self.named.get(name, ()) if event.records]


class Facts:
    """All of a history.

    poisoned: the events that were slipped in, by place
    entities: events of (service, entity), as stored
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._shared: Mapping[str, Container[str]] = {"stock": history.stock, "account": history.accounts}
        self.setting = Setting(history.mode, history.deadline_us, _union(history.faults))
        self.events: list[Event] = []
        self.by_id: dict[str, Event] = {}
        self.entities: dict[tuple[str, str], list[Event]] = {}
        self.poisoned: dict[Place, Event] = {}
        self.orders: dict[str, Order] = {}
        for accepted in history.accepted.values():
            self._order(accepted.order_id).accepted = accepted
        for row in history.stored:
            self._add_stored(row)
        unread_by: dict[Place, Sequence[str]] = {(p.topic, p.partition, p.offset): p.services for p in history.poisoned}
        for record in history.published:
            self._add_record(record, unread_by.get((record.topic, record.partition, record.offset)))
        self._blotted = {event.message_id for event in self.poisoned.values()}
        for event in self.events:
            if event.order_id and self.is_lost(event):
                self._order(event.order_id).lost = True
        for observed in history.observed:
            self._order(observed.order_id).observed.append(observed)
        for order_id, status in history.statuses.items():
            self._order(order_id).at_end = status

    def is_whole(self, entity: str) -> bool:
        """Whether all events of the entity are here: of one that orders share, if its level or balance is."""
        kind, _, entity_id = entity.partition("/")
        return kind not in self._shared or entity_id in self._shared[kind]

    def is_lost(self, event: Event) -> bool:
        """Whether all that its topic has of the event is a poisoned record with its id."""
        return not event.records and event.message_id in self._blotted

    def _order(self, order_id: str) -> Order:
        found = self.orders.get(order_id)
        if found is None:
            found = self.orders[order_id] = Order(order_id, self.setting)
        return found

    def _add_stored(self, row: Stored) -> None:
        event = event_of(row)
        self._add(event)
        self.entities.setdefault((row.service, row.entity), []).append(event)
        self.by_id.setdefault(row.message_id, event)

    def _add_record(self, record: Published, unread_by: Sequence[str] | None) -> None:
        known = self.by_id.get(record.message_id)
        if known is not None and unread_by is None:
            known.records.append(record)
            return
        name, body = decode(record.type, record.payload)
        event = Event(
            record.source.rpartition("/")[2],
            name,
            body,
            order_of(body),
            record.message_id,
            record.cause_id,
            record.time_us,
            records=[record],
        )
        if unread_by is None:
            self.by_id[record.message_id] = event
            self._add(event)
        else:
            event.unread_by = unread_by
            event.order_id = event.order_id or record.key
            self.poisoned[record.topic, record.partition, record.offset] = event
            if event.order_id:
                self._order(event.order_id).slipped.append(event)

    def _add(self, event: Event) -> None:
        self.events.append(event)
        if event.order_id:
            order = self._order(event.order_id)
            order.events.append(event)
            order.named.setdefault(event.name, []).append(event)


def event_of(row: Stored) -> Event:
    """A row of a store, decoded."""
    name, body = decode(row.type, row.payload)
    order_id = order_of(body)
    if not order_id:
        kind, _, entity_id = row.entity.partition("/")
        order_id = entity_id if kind in _OF_ORDERS else ""
    return Event(row.service, name, body, order_id, row.message_id, row.cause_id, row.time_us, row)


def decode(type_name: str, payload: bytes) -> tuple[str, Any]:
    """Short name and body; the body is None if the type is not known, or the bytes are none of it."""
    cls = _CLASSES.get(type_name)
    if cls is None:
        return type_name.rpartition(".")[2], None
    try:
        return cls.DESCRIPTOR.name, cls.FromString(payload)
    except DecodeError:
        return cls.DESCRIPTOR.name, None


def order_of(body: Any) -> str:
    """The id of the order that an event is of, '' if of none. A dead letter's is its record's key."""
    match _way_to_order(body.__class__):
        case "order":
            return body.order.order_id
        case "order_id":
            return body.order_id
        case "key":
            return body.key.decode("utf-8", "replace")
        case _:
            return ""


@cache
def _way_to_order(cls: Any) -> str:
    if cls is type(None):
        return ""
    fields = cls.DESCRIPTOR.fields_by_name
    return next((name for name in ("order", "order_id", "key") if name in fields), "")


def short(name: str) -> str:
    """A status or a reason as customers read it: without the prefix that protobuf wants, '' if there is none."""
    name = name.removeprefix("ORDER_STATUS_").removeprefix("REASON_")
    return "" if name == "UNSPECIFIED" else name


def once_each(events: Iterable[Event]) -> Iterator[Event]:
    """The first event of each message id."""
    seen: set[str] = set()
    for event in events:
        if event.message_id not in seen:
            seen.add(event.message_id)
            yield event


def _union(faults: Iterable[FaultSpan]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for begin, end in sorted((fault.from_us, fault.to_us) for fault in faults):
        if spans and begin <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((begin, end))
    return spans
