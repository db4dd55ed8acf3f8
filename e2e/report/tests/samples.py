"""Tests of each outcome, which leave histories: what the report is made of, and no tests of this project."""

from __future__ import annotations

import pytest

from e2e.checks import check
from e2e.checks.tests.planting import never
from e2e.checks.tests.shop import NO_FUNDS, STEP_US, right_history
from e2e.history import FaultSpan, History
from e2e.report import HISTORY


def _history() -> History:
    history = right_history()
    first_us = history.published[0].time_us
    history.faults = [
        FaultSpan("kill", "inventory", first_us + STEP_US, first_us + 4_000_000),
        FaultSpan("kill", "kafka", first_us + 9_000_000, first_us + 15_000_000),
    ]
    return history


def test_a_shop_in_which_all_is_right(request: pytest.FixtureRequest) -> None:
    request.node.stash[HISTORY] = history = _history()
    assert not check(history)


def test_a_shop_whose_stock_never_came_back(request: pytest.FixtureRequest) -> None:
    request.node.stash[HISTORY] = history = _history()
    never("StockReturned", NO_FUNDS)(history)
    violations = check(history)
    assert not violations, "\n".join(map(str, violations))


def test_without_a_shop() -> None:
    assert max(1, 2) == 3, "<b>no markup</b>"


def test_that_is_skipped() -> None:
    pytest.skip("needs a cluster")
