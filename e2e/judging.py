"""What every scenario ends with: the checks of the whole history, and how soon the orders ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from e2e.checks import check
from e2e.explain import explain
from e2e.history import FaultSpan, History

BEGINNING = "shop.order.v1.OrderCreated"
ENDINGS = ("shop.order.v1.OrderCompleted", "shop.order.v1.OrderCancelled")
SHOWN = 20
"""Violations in a failure's message."""


def judge(history: History, recovers_within_s: float | None, since_us: int) -> None:
    """Raises AssertionError, with the timeline of the first order that is not as it should be.

    recovers_within_s: in which every order must have ended that was created since then, time under faults not counted
    """
    violations = check(history)
    order_id = next((violation.order_id for violation in violations if violation.order_id), "")
    story = explain(history, order_id) if order_id else ""
    assert not violations, "\n".join([*map(str, violations[:SHOWN]), story])
    longest = next(iter(took(history, since_us)), None)
    if longest is not None and recovers_within_s is not None:
        took_s = longest.whole_us / 1e6
        assert took_s <= recovers_within_s, (
            f"order {longest.order_id} took {took_s:.1f} s with nothing broken; {recovers_within_s:g} s are allowed\n"
            f"{explain(history, longest.order_id)}"
        )


class Took(NamedTuple):
    """How long an order has taken, with nothing broken."""

    order_id: str
    whole_us: int


def took(history: History, since_us: int) -> list[Took]:
    """Of the orders that were created since then and have ended, by the order service's clock; the longest first."""
    began: dict[str, int] = {}
    ended: dict[str, int] = {}
    for record in history.published:
        if record.source == "order" and record.type == BEGINNING:
            began.setdefault(record.key, record.time_us)
        elif record.source == "order" and record.type in ENDINGS:
            ended.setdefault(record.key, record.time_us)
    broken = list(_united(history.faults))
    found = [
        Took(order_id, end_us - began[order_id] - _inside(broken, began[order_id], end_us))
        for order_id, end_us in ended.items()
        if began.get(order_id, 0) >= since_us
    ]
    return sorted(found, key=lambda each: -each.whole_us)


def _united(faults: Sequence[FaultSpan]) -> Iterator[tuple[int, int]]:
    """From when to when anything was broken."""
    from_us = to_us = 0
    for fault in sorted(faults, key=lambda fault: fault.from_us):
        if fault.from_us > to_us:
            if to_us:
                yield from_us, to_us
            from_us = fault.from_us
        to_us = max(to_us, fault.to_us)
    if to_us:
        yield from_us, to_us


def _inside(broken: Sequence[tuple[int, int]], from_us: int, to_us: int) -> int:
    return sum(max(0, min(end, to_us) - max(begin, from_us)) for begin, end in broken)
