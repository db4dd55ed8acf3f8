"""A shop that is too large to be held at once: the same is found in slices, and the memory stays the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.checks import check
from e2e.checks.tests.anomalies import ANOMALIES, Anomaly
from e2e.checks.tests.shop import right_history
from e2e.checks.violation import Violation
from e2e.explain import explain
from e2e.history import History
from e2e.large import Filed, Verdict
from e2e.large.one import OfOrder
from e2e.large.shop import parts
from e2e.large.spill import Spill
from e2e.reading import Holding, Letter, Level, Part, Shown, complete

FEW_RECORDS = 5
SMALL, LARGE = 250, 1_000
"""Copies of seven orders. The small shop has several slices, and fills what is held until it is written."""
RECORDS_A_SLICE = 3_000
GROWTH_MAX = 1.1
WITHIN_S = 200
"""For one of them, on a machine that is busy with other things: it is some 5 s of work."""


def of_history(history: History) -> Iterator[Part]:
    """What would be read of a shop with this history."""
    yield from history.published
    yield from history.stored
    yield from (Letter(each.dead_letter_id, each) for each in history.dealt_with)
    yield from (Level(product, level.available, level.reserved) for product, level in history.stock.items())
    yield from (Holding(user, held.balance) for user, held in history.accounts.items())
    yield from (Shown(order_id, status) for order_id, status in history.statuses.items())


def in_slices(history: History, folder: Path) -> Verdict:
    filed = Filed(Spill(folder), history.deadline_us, FEW_RECORDS)
    for _ in range(2):  # the second time from the start, as where something was said while it was read
        filed.begin(history.mode, len(history.published))
        for part in of_history(history):
            filed.take(part)
    assert filed.slices > 10
    return filed.check(lambda _: None)


def as_read(history: History) -> History:
    """Without what only customers know and whoever did the damage."""
    history.observed, history.poisoned = [], []
    complete(history)
    return history


def about(violation: Violation) -> tuple[str, str, str, str]:
    return violation.check, violation.order_id, violation.service, violation.cause


@pytest.mark.parametrize("anomaly", ANOMALIES, ids=str)
def test_in_slices_the_same_is_found_as_in_the_whole(anomaly: Anomaly, tmp_path: Path) -> None:
    history = right_history()
    anomaly.plant(history)
    whole = check(as_read(history))

    verdict = in_slices(history, tmp_path)

    assert {about(each) for each in verdict.violations} == {about(each) for each in whole}
    assert sum(verdict.counts.values()) == len(whole)


@pytest.mark.parametrize("anomaly", ANOMALIES, ids=str)
def test_an_order_alone_is_explained_as_among_all(anomaly: Anomaly) -> None:
    history = right_history()
    anomaly.plant(history)
    whole = explain(as_read(history), anomaly.order_id)
    keeper = OfOrder(anomaly.order_id, history.deadline_us)
    keeper.begin(history.mode, 0)
    for part in of_history(history):
        keeper.take(part)

    if keeper.done():
        alone = explain(keeper.history, anomaly.order_id, keeper.wrong)
        assert sorted(map(about_violation, alone.splitlines())) == sorted(map(about_violation, whole.splitlines()))
    else:
        assert not anomaly.order_id or "nothing is known" in whole


def about_violation(line: str) -> str:
    """Without the hop: what orders share is folded without the rest of the order."""
    return line.partition(", at ")[0] if line.startswith("VIOLATION") else line


def test_in_slices_a_right_history_has_no_violation(tmp_path: Path) -> None:
    verdict = in_slices(right_history(), tmp_path)

    assert verdict.violations == []
    assert verdict.orders == 7


def test_a_generated_shop_is_right(tmp_path: Path) -> None:
    history = History("choreographed", right_history().deadline_us, 0)
    filed = Filed(Spill(tmp_path), history.deadline_us, FEW_RECORDS * 100)
    filed.begin("choreographed", 30 * 60)
    for part in parts(30):
        filed.take(part)

    verdict = filed.check(lambda _: None)

    assert [str(each) for each in verdict.violations] == []
    assert verdict.orders == 7 * 30


def peak_kb(copies: int) -> int:
    """Of a process that checks a shop of so many copies of seven orders."""
    done = subprocess.run(
        [sys.executable, "-m", "e2e.large.shop", str(copies), str(RECORDS_A_SLICE)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.timeout(2 * WITHIN_S)
def test_four_times_as_many_orders_take_the_same_memory() -> None:
    assert peak_kb(LARGE) < GROWTH_MAX * peak_kb(SMALL)
