"""Two checks of what services have written: it is what they have said, and nothing of it was done twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from e2e.checks import hops
from e2e.checks.facts import Event, Facts, Order
from e2e.checks.violation import Violation
from services.saga import COMMANDS

_published = partial(Violation, "published")
_once = partial(Violation, "effects-once")


def published(facts: Facts) -> Iterator[Violation]:
    """Topics and stores hold the same public events, byte by byte, and those of an entity in the same order."""
    for event in facts.events:
        row, records = event.stored, facts.by_id[event.message_id].records
        hop = partial(_hop, facts, event)
        if row is None:
            cause = f"{event.name} {event.message_id} is on {records[0].topic}, and in no store"
            yield _published(event.order_id, hop(), event.service, cause)
        elif row.topic is None:
            if records:
                cause = f"{event.name} is private, and was published on {records[0].topic}"
                yield _published(event.order_id, hop(), event.service, cause)
        elif not records:
            if not facts.is_lost(event):
                cause = f"{event.name} {event.message_id} is stored, and was never published on {row.topic}"
                yield _published(event.order_id, hop(), event.service, cause)
        elif any((r.topic, r.key, r.type, r.payload) != (row.topic, row.key, row.type, row.payload) for r in records):
            cause = f"{event.name} {event.message_id} is not on {row.topic} as it is stored"
            yield _published(event.order_id, hop(), event.service, cause)
    yield from _in_order(facts)


def _hop(facts: Facts, event: Event) -> str:
    return hops.taken(facts.orders.get(event.order_id), event)


def _in_order(facts: Facts) -> Iterator[Violation]:
    """Of what an entity says on a topic, the first copies stand in one partition, in the order of its versions."""
    for events in facts.entities.values():
        last: dict[str, Event] = {}
        for event in events:
            if not event.records:
                continue
            record = event.records[0]
            before = last.get(record.topic)
            last[record.topic] = event
            if before is None:
                continue
            partition, offset = before.records[0].partition, before.records[0].offset
            if (record.partition, record.offset) < (partition, offset) or record.partition != partition:
                cause = (
                    f"{event.name} came after {before.name} in the store, and stands at "
                    f"{record.partition}/{record.offset} of {record.topic} before {partition}/{offset}"
                )
                yield _published(event.order_id, _hop(facts, event), event.service, cause)


_TOLD_APART: Mapping[str, tuple[str, ...]] = {
    "DeliveryProgressed": ("status",),
    "OrderCancellationRequested": ("reason",),
    "NotificationSent": ("about",),
    "FactRecorded": ("fact",),
    "StepTaken": ("fact", "reason"),
    "StockReserved": ("product_id",),
    "StockReturned": ("product_id",),
    "StockDispatched": ("product_id",),
}
"""Of most types an order has one event. Of these it has one for each value of the fields."""
_BY_CAUSE = frozenset(name.rpartition(".")[2] for name in COMMANDS) | {"DeadLettered"}


def effects_once(order: Order) -> Iterator[Violation]:
    """Of each type of event, an order has one message id: nothing was reserved, charged, shipped or told twice."""
    seen: dict[tuple[Any, ...], Event] = {}
    for event in order.events:
        kind = _effect(event)
        first = seen.setdefault(kind, event)
        if first.message_id != event.message_id:
            cause = f"{event.name} {event.message_id} does again what {first.message_id} did"
            yield _once(order.order_id, hops.taken(order, event), event.service, cause)


def _effect(event: Event) -> tuple[Any, ...]:
    name, body = event.name, event.body
    if name in _BY_CAUSE:  # two failures ask for the same release; dead letters have a check of their own
        return name, event.service, event.cause_id
    if name not in _TOLD_APART or body is None:
        return (name,)
    teller = event.service if name == "DeadLettered" else ""  # each service that meets a record buries it for itself
    return name, teller, *(getattr(body, field) for field in _TOLD_APART[name])


def rows_once(facts: Facts) -> Iterator[Violation]:
    """An entity's versions are 1 to n; a message id is one row; no cause led to the same event of an entity twice."""
    for (service, entity), events in facts.entities.items():
        for version, event in enumerate(events, 1):
            if event.stored is not None and event.stored.version != version and facts.is_whole(entity):
                cause = f"{entity} has version {event.stored.version} where {version} should be"
                yield _once(event.order_id, _hop(facts, event), service, cause)
                break
        caused: dict[tuple[str, str], Event] = {}
        for event in events:
            first = caused.setdefault((event.cause_id, event.name), event)
            if event.cause_id and first is not event and _effect(first) == _effect(event):
                cause = f"message {event.cause_id} led to {event.name} of {entity} twice"
                yield _once(event.order_id, _hop(facts, event), service, cause)
    for event in facts.events:
        first = facts.by_id[event.message_id]
        if first is not event:
            cause = f"message id {event.message_id} is used twice, by {first.service} and {event.service}"
            yield _once(event.order_id, _hop(facts, event), event.service, cause)
