"""What the dashboard counts: orders accepted and ended, why, how fast, and for how much.

Each order counts twice: by its OrderCreated and by the event of its ending, each alone, so that the order of arrival
does not matter. There is one sum for each partition of those events' topic: replicas, which share partitions out among
them, never wait for each other's sum.
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
    """What one event adds. `latency` is a class; -1 where it is not known."""

    name: str
    minute: int
    reason: str
    amount_minor: int
    currency: str
    latency: int


def tally(name: str, order_id: str, time_us: int, reason: str, total: Money) -> Counted:
    latency = -1
    if name != "OrderCreated" and order_id[14] == "7":
        began_ms = int(order_id[:8] + order_id[9:13], 16)
        latency = latency_class(time_us / 1000 - began_ms)
    return Counted(name, time_us // _MINUTE_US, reason, total.amount_minor, total.currency, latency)


def latency_class(ms: float) -> int:
    """0 is everything up to 1 ms."""
    return round(log(ms) / _LOG_STEP) if ms > 1 else 0


def counted(state: FiguresState, count: Counted) -> FiguresState:
    accepted, completed, cancelled = state.accepted, state.completed, state.cancelled
    reasons, revenue = state.reasons, state.revenue
    if count.name == "OrderCreated":
        accepted += 1
    elif count.name == "OrderCompleted":
        completed += 1
        revenue = _plus(revenue, count.currency, count.amount_minor)
    else:
        cancelled += 1
        reasons = _plus(reasons, count.reason, 1)
    return FiguresState(accepted, completed, cancelled, reasons, revenue, _with(state.minutes, count))


def _with(minutes: dict[int, Minute], count: Counted) -> dict[int, Minute]:
    newest = max(minutes, default=count.minute)
    if count.minute <= newest - MINUTES_KEPT:
        return minutes
    old = minutes.get(count.minute, _NOTHING)
    latencies = old.latencies if count.latency < 0 else _plus(old.latencies, count.latency, 1)
    new = Minute(
        old.accepted + (count.name == "OrderCreated"),
        old.completed + (count.name == "OrderCompleted"),
        old.cancelled + (count.name == "OrderCancelled"),
        latencies,
    )
    if count.minute <= newest:
        return {**minutes, count.minute: new}
    kept = {minute: had for minute, had in minutes.items() if minute > count.minute - MINUTES_KEPT}
    return {**kept, count.minute: new}


_NOTHING = Minute()


def _plus(sums: dict[_K, int], name: _K, more: int) -> dict[_K, int]:
    return {**sums, name: sums.get(name, 0) + more}
