"""The arithmetic of the figures."""

from __future__ import annotations

import pytest

from bench.numbers import percentile
from bench.results import Spread


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([1.0, 3.0], 50, 2.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([float(n) for n in range(101)], 95, 95.0),
        ([float(n) for n in range(101)], 99, 99.0),
        ([5.0] * 1000, 99, 5.0),
    ],
)
def test_a_percentile_lies_between_its_neighbours(values: list[float], percent: int, expected: float) -> None:
    assert percentile(values, percent) == pytest.approx(expected)


def test_one_slow_order_of_a_thousand_is_the_maximum_and_not_the_99th_percentile() -> None:
    spread = Spread.of([0.010] * 999 + [4.0])
    assert spread == Spread(count=1000, p50_ms=10.0, p95_ms=10.0, p99_ms=10.0, max_ms=4000.0)


def test_of_no_orders_there_is_no_spread() -> None:
    assert Spread.of([]) is None
