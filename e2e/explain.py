"""An order's story for people: what every service did with it, in the order of time, and what is wrong with it.

A timeline over all services: what customers saw, what is in the stores and on the topics, which message led to which,
and between them the faults that were in play. At the end, what the checks say of this order.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from shop.common.v1.common_pb2 import DeliveryStatus, OrderStatus, Reason

from e2e.checks import hops, violations
from e2e.checks.facts import Event, Facts, Order, short
from e2e.checks.violation import Violation
from e2e.history import FaultSpan, History

WIDTH = 100
"""Columns."""
_INDENT, _WHAT, _WHERE = 25, 34, 25
"""Columns before what happened, for it, and for topic, partition and offset."""
MARK = "==="
_NO_BREAK = "\N{NO-BREAK SPACE}"
_BEFORE, _AFTER = -1, 1_000_000
"""Depths of what comes before and after all events of the same time."""


class Line(NamedTuple):
    """One thing that happened to an order. A fault or poison begins with `MARK` in `what`, and has no `who`.

    depth: how many causes within the order led to it, as a cause stands above what it led to
    """

    at_us: int
    depth: int
    who: str
    what: str
    ids: str = ""
    where: str = ""


def explain(history: History, order_id: str, besides: Iterable[Violation] = ()) -> str:
    """The order's timeline and its violations, as text of at most `WIDTH` columns but for what cannot be broken.

    besides: violations at this order that a history of it alone does not show
    """
    facts = Facts(history)
    order = facts.orders.get(order_id)
    if order is None:
        return f"order {order_id}: nothing is known of it\n"
    begin_us, lines = timeline(history, order)
    wrong = [*(violation for violation in violations(facts) if violation.order_id == order_id), *besides]
    text = [*_head(order, history), "", *(row for line in lines for row in _show(line, begin_us)), ""]
    return "\n".join([*text, *_at_rest(order), *_wrong(wrong), ""]).replace(_NO_BREAK, " ")


def timeline(history: History, order: Order) -> tuple[int, list[Line]]:
    """When it began, and all that happened to it, in the order of time."""
    lines = [*_events(order), *_customers(order)]
    begin_us = _begin_us(order, lines)
    lines += _poison(order, begin_us)
    lines += _faults(history.faults, begin_us, max((line.at_us for line in lines), default=history.ended_us))
    lines.sort(key=lambda line: line[:2])
    return begin_us, lines


def _begin_us(order: Order, lines: list[Line]) -> int:
    """When order accepted it, by its own clock; if it never has, when something was first heard of the order."""
    created = order.have("OrderCreated")
    if created:
        return created[0].time_us
    return min((line.at_us for line in lines), default=0)


def _head(order: Order, history: History) -> Iterator[str]:
    outcome = hops.outcome_of(order.read_by("order"))
    stands = f"{short(OrderStatus.Name(outcome.status))} {short(outcome.reason)}".rstrip()
    yield f"order {order.order_id}: {stands}"
    accepted = order.accepted
    if accepted:
        items = ", ".join(f"{n} x {product}" for product, n in accepted.items.items())
        yield f"{items} for {accepted.user_id}; {history.mode}, deadline {history.deadline_us / 1e6:g} s"


def _events(order: Order) -> Iterator[Line]:
    causes = {event.message_id: event.cause_id for event in order.events}
    for event in order.events:
        yield Line(event.time_us, _depth(event, causes), event.service, _what(event), _ids(event), _where(event))


def _depth(event: Event, causes: Mapping[str, str]) -> int:
    depth, cause_id = 0, event.cause_id
    while cause_id in causes and depth < len(causes):
        depth, cause_id = depth + 1, causes[cause_id]
    return depth


def _what(event: Event) -> str:
    words = [event.name, *_details(event.body)]
    if event.stored is None:
        words.append(_unbroken("(in no store)"))
    if len(event.records) > 1:
        words.append(_unbroken(f"(published {len(event.records)} times)"))
    return " ".join(words)


def _unbroken(note: str) -> str:
    return note.replace(" ", _NO_BREAK)


def _details(body: Any) -> Iterator[str]:
    """What the event says beyond its name."""
    if body is None:
        yield "(cannot be decoded)"
        return
    fields = body.DESCRIPTOR.fields_by_name
    if "quantity" in fields:
        yield f"{body.quantity} x {body.product_id}"
    if "amount" in fields:
        yield f"{body.amount.amount_minor / 100:.2f} {body.amount.currency}"
    if "status" in fields:
        yield DeliveryStatus.Name(body.status).removeprefix("DELIVERY_STATUS_")
    for name in ("fact", "about"):
        if name in fields:
            yield getattr(body, name)
    if "reason" in fields and body.reason:
        yield short(Reason.Name(body.reason))
    if "cause" in fields:
        yield f"{body.topic}/{body.partition}/{body.offset}: {body.cause}"
    elif "detail" in fields and body.detail:
        yield body.detail


def _ids(event: Event) -> str:
    return f"{_short_id(event.message_id)} < {_short_id(event.cause_id)}"


def _short_id(message_id: str) -> str:
    """The end of an id, as ids of one order begin alike; of a timer or a start, that it is one."""
    return message_id.partition("/")[0] if "/" in message_id else message_id[-6:]


def _where(event: Event) -> str:
    if event.records:
        record = event.records[0]
        return f"{record.topic}/{record.partition}/{record.offset}"
    topic = event.stored.topic if event.stored else None
    return f"not on {topic}" if topic else ""


def _customers(order: Order) -> Iterator[Line]:
    if order.accepted:
        yield Line(order.accepted.at_us, _AFTER, "customer", "is told that it is accepted")
    for seen in order.observed:
        what = " ".join(filter(None, ("sees", seen.status, seen.reason, f"seq {seen.seq}")))
        yield Line(seen.at_us, _AFTER, "customer", what)


def _poison(order: Order, begin_us: int) -> Iterator[Line]:
    """Of poison without a time it is not known when it came."""
    for event in order.slipped:
        who = ", ".join(event.unread_by) or "nobody"
        what = f"{MARK} poison at {_where(event)}: {event.name or 'of no type'}, to be refused by {who}"
        yield Line(event.time_us or begin_us, _BEFORE, "", what)


def _faults(faults: list[FaultSpan], begin_us: int, end_us: int) -> Iterator[Line]:
    """Those that were in play while something happened to the order."""
    for fault in faults:
        if fault.from_us > end_us or fault.to_us < begin_us:
            continue
        name = f"{fault.kind} of {fault.target}"
        since = f", for {(begin_us - fault.from_us) / 1e6:.3f} s already" if fault.from_us < begin_us else ""
        yield Line(max(fault.from_us, begin_us), _BEFORE, "", f"{MARK} {name}{since}")
        if fault.from_us < fault.to_us <= end_us:
            yield Line(fault.to_us, _BEFORE, "", f"{MARK} {name} is over")


def _show(line: Line, begin_us: int) -> Iterator[str]:
    at = f"{(line.at_us - begin_us) / 1e6:>+9.3f}"
    if line.what.startswith(MARK):
        for row in textwrap.wrap(line.what, WIDTH - len(at) - 2, subsequent_indent=f"{MARK} "):
            yield f"{at}  {row} ".ljust(WIDTH, "=")[:WIDTH]
        return
    room = _WHAT if line.ids or line.where else WIDTH - _INDENT
    first, *more = textwrap.wrap(line.what, room, break_on_hyphens=False) or [""]
    where = line.where if len(line.where) <= _WHERE else ""
    yield f"{at}  {line.who:<12}  {first:<{_WHAT}} {line.ids:<15} {where}".rstrip()
    for words in more:
        yield f"{'':{_INDENT}}  {words}"
    if where != line.where:
        yield line.where.rjust(WIDTH)


def _at_rest(order: Order) -> Iterator[str]:
    at_end = order.at_end
    shown = " ".join(filter(None, (at_end.status, at_end.reason, f"seq {at_end.seq}"))) if at_end else "nothing"
    yield f"At rest, status shows {shown}."


def _wrong(found: list[Violation]) -> Iterator[str]:
    if not found:
        yield "No violation."
    for violation in found:
        yield f"VIOLATION of {violation.check}, at {violation.hop}"
        yield from textwrap.wrap(
            f"{violation.service}: {violation.cause}", WIDTH, initial_indent="    ", subsequent_indent="    "
        )
