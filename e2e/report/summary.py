"""A history in short, for the page: faults, figures over time, each check's verdict, the timelines of some orders.

Bounded, however long the shop ran: so many points, so many violations of a check, so many orders and lines of each.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from shop.common.v1.common_pb2 import Reason

from bench.numbers import percentile
from e2e.checks import CHECKS, violations
from e2e.checks.facts import ENDINGS, Facts, Order, short
from e2e.checks.violation import Violation
from e2e.explain import MARK, timeline
from e2e.history import FaultSpan, History

POINTS_MAX = 120
_WIDTHS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
VIOLATIONS_MAX = 20
"""Of one check."""
WRONG_MAX, SAMPLE_MAX = 20, 12
"""Orders with a violation, and others."""
LINES_MAX = 120
"""Of one order."""


class Point(msgspec.Struct, frozen=True):
    """A piece of time: what came in it, by the second; latency of the orders that ended in it, None if none did."""

    at_s: float
    accepted_per_s: float
    ended_per_s: float
    p50_ms: float | None
    p95_ms: float | None


class Step(msgspec.Struct, frozen=True):
    """A line of a timeline. `fault`: it is no step of the order's, but what was broken meanwhile."""

    at_s: float
    who: str
    what: str
    ids: str
    where: str
    fault: bool


class Story(msgspec.Struct, frozen=True):
    """One order. `took_ms`: from OrderCreated to its ending, None without one."""

    order_id: str
    ending: str
    took_ms: float | None
    wrong: list[str]
    steps: list[Step]
    steps_left_out: int


class Verdict(msgspec.Struct, frozen=True):
    """Of one check."""

    check: str
    count: int
    violations: list[str]


class Broken(msgspec.Struct, frozen=True):
    """A fault, in seconds from the run's beginning."""

    kind: str
    target: str
    from_s: float
    to_s: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Of one history. Times are seconds from the first thing that happened."""

    mode: str
    seconds: float
    orders: int
    endings: dict[str, int]
    records: int
    rows: int
    faults: list[Broken]
    width_s: float
    points: list[Point]
    checks: list[Verdict]
    stories: list[Story]
    """Those with a violation first."""


def summary(history: History, seed: int = 0) -> Summary:
    """`seed` draws the sample of orders."""
    facts = Facts(history)
    ends = {order_id: _end(order) for order_id, order in facts.orders.items()}
    created_us = [end.created_us for end in ends.values() if end.created_us is not None]
    begin_us = min([*created_us, *(fault.from_us for fault in history.faults)], default=history.ended_us)
    ended_us = [event.time_us for event in facts.events if event.order_id]
    end_us = max([*ended_us, *(fault.to_us for fault in history.faults)], default=begin_us)
    found: dict[str, list[Violation]] = {name: [] for name in CHECKS}
    wrong: dict[str, list[str]] = {}
    for violation in violations(facts):
        found[violation.check].append(violation)
        wrong.setdefault(violation.order_id, []).append(f"{violation.check}, {violation.hop}: {violation.cause}")
    width_s, points = _points(ends.values(), begin_us, end_us)
    return Summary(
        mode=history.mode,
        seconds=(end_us - begin_us) / 1e6,
        orders=len(history.accepted),
        endings=dict(Counter(ends[order_id].name for order_id in history.accepted).most_common()),
        records=len(history.published),
        rows=len(history.stored),
        faults=[_broken(fault, begin_us) for fault in sorted(history.faults, key=lambda fault: fault.from_us)],
        width_s=width_s,
        points=points,
        checks=[Verdict(name, len(of_it), [str(v) for v in of_it[:VIOLATIONS_MAX]]) for name, of_it in found.items()],
        stories=[
            _story(history, facts.orders[order_id], ends[order_id], wrong.get(order_id, []))
            for order_id in _shown(facts, ends, wrong, seed)
        ],
    )


class _End(NamedTuple):
    """How an order ended ('open' if it has not), and when it was created and ended: None where that is not known."""

    name: str
    created_us: int | None
    ended_us: int | None

    @property
    def took_ms(self) -> float | None:
        if self.created_us is None or self.ended_us is None:
            return None
        return (self.ended_us - self.created_us) / 1000


def _end(order: Order) -> _End:
    created = order.have("OrderCreated")
    created_us = created[0].time_us if created else None
    for event in order.said(ENDINGS):
        if event.name == "OrderCompleted":
            return _End("COMPLETED", created_us, event.time_us)
        reason = short(Reason.Name(event.body.reason)) if event.body is not None else ""
        return _End(f"CANCELLED {reason}".rstrip(), created_us, event.time_us)
    return _End("open", created_us, None)


def _broken(fault: FaultSpan, begin_us: int) -> Broken:
    return Broken(fault.kind, fault.target, (fault.from_us - begin_us) / 1e6, (fault.to_us - begin_us) / 1e6)


def _points(ends: Iterable[_End], begin_us: int, end_us: int) -> tuple[float, list[Point]]:
    """How wide a point is in seconds, and the points, without a gap."""
    seconds = (end_us - begin_us) / 1e6
    width_s = next((width for width in _WIDTHS_S if seconds / width < POINTS_MAX), seconds)
    accepted, took_ms = Counter[int](), defaultdict[int, list[float]](list)
    for end in ends:
        if end.created_us is not None:
            accepted[int((end.created_us - begin_us) / 1e6 / width_s)] += 1
        if end.ended_us is not None and end.took_ms is not None:
            took_ms[int((end.ended_us - begin_us) / 1e6 / width_s)].append(end.took_ms)
    points = list[Point]()
    for n in range(int(seconds / width_s) + 1):
        took = sorted(took_ms[n])
        p50, p95 = (round(percentile(took, percent), 1) if took else None for percent in (50, 95))
        points.append(Point(round(n * width_s, 3), accepted[n] / width_s, len(took) / width_s, p50, p95))
    return width_s, points


def _shown(facts: Facts, ends: Mapping[str, _End], wrong: Mapping[str, list[str]], seed: int) -> list[str]:
    """Ids of the orders whose timelines are shown: wrong ones, one of each ending, the slowest, and some at random."""
    accepted = sorted(facts.history.accepted)
    of_each = {ends[order_id].name: order_id for order_id in accepted}
    slowest = sorted(accepted, key=lambda order_id: -(ends[order_id].took_ms or 0))
    drawn = random.Random(seed).sample(accepted, len(accepted))
    chosen = dict.fromkeys([*of_each.values(), *slowest[: SAMPLE_MAX // 4], *drawn])
    right = [order_id for order_id in chosen if order_id not in wrong][:SAMPLE_MAX]
    return [*[order_id for order_id in wrong if order_id in facts.orders][:WRONG_MAX], *right]


def _story(history: History, order: Order, end: _End, wrong: list[str]) -> Story:
    begin_us, lines = timeline(history, order)
    steps = [
        Step(
            (line.at_us - begin_us) / 1e6,
            line.who,
            line.what.removeprefix(MARK).strip(),
            line.ids,
            line.where,
            line.what.startswith(MARK),
        )
        for line in lines
    ]
    shown = steps[:LINES_MAX]
    return Story(order.order_id, end.name, end.took_ms, wrong, shown, len(steps) - len(shown))
