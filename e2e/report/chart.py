"""Where the lines of a chart go: figures over time as points in a box of `WIDTH` x `HEIGHT`. The page draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.chart import bounds, ticks
from e2e.report.summary import Broken, Point, Summary

WIDTH, HEIGHT = 480, 170
LEFT, RIGHT, TOP, BOTTOM = 54, 20, 10, 24
TIMES = 5
"""Labels below, about."""
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200)
THINNEST = 2.0
"""Of a fault, so that it can be seen."""


class Line(NamedTuple):
    """`paths`: its pieces between gaps, as points of a polyline; `lone`: points with a gap on both sides."""

    name: str
    css: str
    paths: list[str]
    lone: list[tuple[float, float]]


class Band(NamedTuple):
    """A fault, as long as it lasted."""

    number: int
    x: float
    width: float


class Chart(NamedTuple):
    """One panel. Ticks are (place, label)."""

    title: str
    lines: list[Line]
    bands: list[Band]
    y_ticks: list[tuple[float, str]]
    x_ticks: list[tuple[float, str]]
    said: str
    """For who cannot see it."""


def charts(found: Summary) -> list[Chart]:
    """Throughput and latency of a run."""
    rates = [max(point.accepted_per_s, point.ended_per_s) for point in found.points]
    slow = [point.p95_ms for point in found.points if point.p95_ms is not None]
    return [
        _chart(
            found,
            "Orders a second",
            [
                ("accepted", "first", [p.accepted_per_s for p in found.points]),
                ("ended", "second", [p.ended_per_s for p in found.points]),
            ],
            logarithmic=False,
            said=f"at most {max(rates, default=0):.0f} orders a second",
        ),
        _chart(
            found,
            "From OrderCreated to the ending, ms",
            [
                ("median", "first", [p.p50_ms for p in found.points]),
                ("95 %", "second", [p.p95_ms for p in found.points]),
            ],
            logarithmic=True,
            said=f"95 % of a moment's orders ended within {max(slow, default=0):,.0f} ms at its worst",
        ),
    ]


def _chart(
    found: Summary,
    title: str,
    series: Sequence[tuple[str, str, Sequence[float | None]]],
    *,
    logarithmic: bool,
    said: str,
) -> Chart:
    seconds = max(found.seconds, found.width_s)
    every = [value for _, _, values in series for value in values if value]
    low, high = bounds(every, logarithmic=logarithmic)
    scale = _Scale(low, high, seconds, logarithmic)
    lines = [_line(scale, found, name, css, values) for name, css, values in series]
    y_ticks = [(scale.y(tick), f"{tick:,.10g}") for tick in ticks(low, high, logarithmic=logarithmic)]
    step_s = next((step for step in _STEPS_S if seconds / step <= TIMES), seconds)
    x_ticks = [(scale.x(n * step_s), f"{n * step_s:.10g} s") for n in range(int(seconds / step_s) + 1)]
    return Chart(title, lines, [_band(scale, n, f) for n, f in enumerate(found.faults, 1)], y_ticks, x_ticks, said)


class _Scale(NamedTuple):
    low: float
    high: float
    seconds: float
    logarithmic: bool

    def x(self, second: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(second, 0.0), self.seconds) / self.seconds, 1)

    def y(self, value: float) -> float:
        share = self._share(value)
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)

    def _share(self, value: float) -> float:
        if not self.logarithmic:
            return value / self.high
        return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)


def _line(scale: _Scale, found: Summary, name: str, css: str, values: Sequence[float | None]) -> Line:
    pieces: list[list[tuple[float, float]]] = [[]]
    for point, value in zip(found.points, values, strict=True):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((scale.x(_middle(point, found)), scale.y(value)))
    paths = [" ".join(f"{x},{y}" for x, y in piece) for piece in pieces if len(piece) > 1]
    return Line(name, css, paths, [piece[0] for piece in pieces if len(piece) == 1])


def _middle(point: Point, found: Summary) -> float:
    return point.at_s + found.width_s / 2


def _band(scale: _Scale, number: int, fault: Broken) -> Band:
    begin, end = scale.x(fault.from_s), scale.x(fault.to_s)
    return Band(number, begin, round(max(end - begin, THINNEST), 1))
