"""Two checks of what is read: status says what the events say, and what a customer sees never goes back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from shop.common.v1.common_pb2 import OrderStatus

from e2e.checks import hops
from e2e.checks.facts import ENDINGS, Event, Order, short
from e2e.checks.violation import Violation
from e2e.history import Observed
from services.saga import PUBLIC

_reads = partial(Violation, "read-models")
_watches = partial(Violation, "watches")

_HEARD_ONLY = frozenset({"StockReplenished", "NotificationSent"})
_COUNTED = frozenset(name.rpartition(".")[2] for name in PUBLIC) - _HEARD_ONLY
"""Public events that count as facts of an order: all but those that say nothing of how it goes."""
_SEVERAL = {"DeliveryProgressed": "status", "OrderCancellationRequested": "reason"}
"""Of these there is a fact for each value of the field."""
_RANK = {"PENDING": 1, "AWAITING_PAYMENT": 2, "AWAITING_SHIPMENT": 3, "COMPENSATING": 4, "COMPLETED": 5, "CANCELLED": 5}
_ENDED = ("COMPLETED", "CANCELLED")


def read_models(order: Order) -> Iterator[Violation]:
    """Status shows the outcome by the formula over the events on the topics, and their number as seq."""
    events = [event for event in order.read_by("status") if event.name in _COUNTED]
    if order.at_end is None:
        if order.accepted and events:
            yield _reads(order.order_id, f"status: {events[0].name}", "status", "status does not know the order")
        return
    outcome = hops.outcome_of(events)
    due = short(OrderStatus.Name(outcome.status)), short(outcome.reason), len({_fact(event) for event in events})
    shown = order.at_end.status, order.at_end.reason, order.at_end.seq
    if shown != due:
        last = max(events, key=lambda event: event.time_us).name if events else "nothing"
        cause = f"status shows {_show(*shown)}, and the events say {_show(*due)}"
        yield _reads(order.order_id, f"status: {last} -> {due[0]}", "status", cause)


def _fact(event: Event) -> str:
    field = _SEVERAL.get(event.name)
    return event.name if field is None or event.body is None else f"{event.name}/{getattr(event.body, field)}"


def _show(status: str, reason: str, seq: int) -> str:
    return f"{status} {reason} with seq {seq}" if reason else f"{status} with seq {seq}"


def watches(order: Order) -> Iterator[Violation]:
    """No watch goes back, in status or seq; an ending stays, is the order's own, and alone has a reason."""
    last: dict[str, Observed] = {}
    ended = {_ENDED[ENDINGS.index(event.name)] for event in order.said(ENDINGS)}
    for now in order.observed:
        before = last.get(now.watch)
        last[now.watch] = now
        cause = _wrong_alone(now, ended) or (_wrong_after(before, now) if before else "")
        if cause:
            hop = f"status: {before.status if before else 'nothing'} -> {now.status}"
            yield _watches(order.order_id, hop, "status", f"{now.watch} saw {cause}")
            return


def _wrong_alone(now: Observed, ended: set[str]) -> str:
    status, reason = now.status, now.reason
    if status not in _RANK:
        return f"the status {status}, which there is not"
    if status in _ENDED and ended and status not in ended:
        return f"{status}, and the order is {' and '.join(sorted(ended))}"
    if (status == "CANCELLED") != bool(reason):
        return f"{status} with the reason {reason or 'left out'}"
    return ""


def _wrong_after(before: Observed, now: Observed) -> str:
    was, status = before.status, now.status
    if now.seq < before.seq:
        return f"seq {now.seq} after {before.seq}"
    if _RANK[status] < _RANK[was]:
        return f"{status} after {was}"
    if was in _ENDED and (was, before.reason) != (status, now.reason):
        return f"{status} {now.reason} after {was} {before.reason}"
    return ""
