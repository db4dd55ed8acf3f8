"""What the dashboard counts: orders accepted and ended, why, how fast, and for how much.

Each order counts twice: by its OrderCreated and by the event of its ending, whichever is seen first, so that the order
of arrival does not matter. There is one sum for each partition of those events' topic: replicas, which share partitions
out among them, never wait for each other's sum.
"""

from math import log
from typing import ClassVar, TypeVar

import msgspec
from shop.common.v1.common_pb2 import Money

from services.engine.participant import State

COUNTED = frozenset({"OrderCreated", "OrderCompleted", "OrderCancelled"})
MINUTES_KEPT = 15
STEP = 1.2
"""From one class of latencies to the next: the middle of a class is within 10 % of what is in it."""

_K = TypeVar("_K")
_LOG_STEP = log(STEP)
_MINUTE_US = 60_000_000


class Minute(msgspec.Struct, frozen=True, array_like=True):
    """Of orders accepted and ended in it. `latencies`: class of latency -> orders that ended with it."""

    accepted: int = 0
    completed: int = 0
    cancelled: int = 0
    latencies: dict[int, int] = {}


class FiguresState(State, frozen=True):
    """figures/<partition>.

    reasons: of cancelled orders
    revenue: of completed orders, in minor units, by currency
    minutes: the last MINUTES_KEPT, by the number of minutes since 1970
    """

    kind: ClassVar[str] = "figures"
    accepted: int = 0
    completed: int = 0
    cancelled: int = 0
    reasons: dict[str, int] = {}
    revenue: dict[str, int] = {}
    minutes: dict[int, Minute] = {}


class Counted(msgspec.Struct, frozen=True):
    """What one event adds. `latency`: the minute of the ending and the class, once both ends of it are known."""

    name: str
    minute: int
    reason: str
    amount_minor: int
    currency: str
    latency: tuple[int, int] | None


def tally(name: str, time_us: int, reason: str, total: Money, begun_us: int | None, ended_us: int | None) -> Counted:
    """`begun_us`, `ended_us`: when the order was accepted, and when it ended; None for what is not known yet."""
    latency = None
    if begun_us is not None and ended_us is not None:
        latency = (ended_us // _MINUTE_US, latency_class((ended_us - begun_us) / 1000))
    return Counted(name, time_us // _MINUTE_US, reason, total.amount_minor, total.currency, latency)


def latency_class(ms: float) -> int:
    """0 is everything up to 1 ms."""
    return round(log(ms) / _LOG_STEP) if ms > 1 else 0


def counted(state: FiguresState, count: Counted) -> FiguresState:
    accepted, completed, cancelled = state.accepted, state.completed, state.cancelled
    reasons, revenue = state.reasons, state.revenue
    if count.name == "OrderCreated":
        accepted += 1
        more = Minute(accepted=1)
    elif count.name == "OrderCompleted":
        completed += 1
        more = Minute(completed=1)
        revenue = _plus(revenue, count.currency, count.amount_minor)
    else:
        cancelled += 1
        more = Minute(cancelled=1)
        reasons = _plus(reasons, count.reason, 1)
    minutes = _with(state.minutes, count.minute, more)
    if count.latency is not None:
        minute, number = count.latency
        minutes = _with(minutes, minute, Minute(latencies={number: 1}))
    return FiguresState(accepted, completed, cancelled, reasons, revenue, minutes)


def _with(minutes: dict[int, Minute], number: int, more: Minute) -> dict[int, Minute]:
    newest = max(minutes, default=number)
    if number <= newest - MINUTES_KEPT:
        return minutes
    old = minutes.get(number, _NOTHING)
    latencies = old.latencies
    for latency, orders in more.latencies.items():
        latencies = _plus(latencies, latency, orders)
    new = Minute(
        old.accepted + more.accepted, old.completed + more.completed, old.cancelled + more.cancelled, latencies
    )
    if number <= newest:
        return {**minutes, number: new}
    return {**{minute: had for minute, had in minutes.items() if minute > number - MINUTES_KEPT}, number: new}


_NOTHING = Minute()


def _plus(sums: dict[_K, int], name: _K, more: int) -> dict[_K, int]:
    return {**sums, name: sums.get(name, 0) + more}
