"""What every scenario ends with: the checks of the whole history, and how soon the orders ended."""

from __future__ import annotations

from e2e.checks import check
from e2e.explain import explain
from e2e.history import History
from e2e.scenarios.recovery import took

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
