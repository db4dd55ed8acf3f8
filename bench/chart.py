"""A benchmark as one SVG: orders a second above, latency below, all phases one after another. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from bench.report import title
from bench.results import Bench, Phase, Second

WIDTH, HEIGHT = 960, 560
LEFT, RIGHT, TOP, GAP, BOTTOM = 64, 20, 64, 64, 36
PANEL = (HEIGHT - TOP - GAP - BOTTOM) / 2
INK, FAINT, GRID = "#1f2328", "#6b7280", "#e3e6ea"
FIRST, SECOND = "#2563c9", "#d9622b"
TICKS = 5


class Line(NamedTuple):
    """One line of a panel: what it is called, its colour, and which figure of a second it shows."""

    name: str
    colour: str
    figure: Literal["accepted", "completed", "p50_ms", "p99_ms"]

    def value(self, second: Second) -> float | None:
        """None is a gap."""
        return getattr(second, self.figure)


class Panel(NamedTuple):
    """A panel; on a logarithmic scale where its values span several decades."""

    title: str
    top: float
    lines: Sequence[Line]
    logarithmic: bool


PANELS = (
    Panel(
        "orders a second",
        TOP,
        (
            Line("accepted", FIRST, "accepted"),
            Line("completed", SECOND, "completed"),
        ),
        logarithmic=False,
    ),
    Panel(
        "POST to ending, ms",
        TOP + PANEL + GAP,
        (
            Line("p50", FIRST, "p50_ms"),
            Line("p99", SECOND, "p99_ms"),
        ),
        logarithmic=True,
    ),
)


def svg(found: Bench) -> bytes:
    """The chart of a whole run."""
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
    root.set("font-family", "system-ui, sans-serif")
    root.set("font-size", "12")
    SubElement(root, "rect", width=str(WIDTH), height=str(HEIGHT), fill="white")
    _text(root, LEFT, 22, title(found), INK, size=15)
    machine = found.machine
    _text(root, LEFT, 40, f"{machine.cores} x {machine.cpu}, load average before {machine.load_before}", FAINT)
    for panel in PANELS:
        _panel(root, panel, found.phases)
    return tostring(root, xml_declaration=True, encoding="utf-8") + b"\n"


def _panel(root: Element, panel: Panel, phases: Sequence[Phase]) -> None:
    seconds = sum(len(phase.series) for phase in phases)
    every = [line.value(second) for phase in phases for second in phase.series for line in panel.lines]
    low, high = bounds([value for value in every if value], logarithmic=panel.logarithmic)

    def x(second: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * second / max(seconds, 1)

    def y(value: float) -> float:
        share = math.log10(max(value, low) / low) / math.log10(high / low) if panel.logarithmic else value / high
        return panel.top + PANEL * (1 - share)

    for tick in ticks(low, high, logarithmic=panel.logarithmic):
        _line(root, LEFT, y(tick), WIDTH - RIGHT, y(tick), GRID)
        _text(root, LEFT - 6, y(tick) + 4, f"{tick:,.0f}", FAINT, anchor="end")
    _text(root, LEFT, panel.top - 8, panel.title, INK)
    at = LEFT + 150.0
    for line in panel.lines:
        _line(root, at, panel.top - 12, at + 18, panel.top - 12, line.colour, width=2)
        _text(root, at + 24, panel.top - 8, line.name, INK)
        at += 100
    began = 0
    for phase in phases:
        if began:
            _line(root, x(began), panel.top, x(began), panel.top + PANEL, FAINT, dashes="2 3")
        middle = x(began + len(phase.series) / 2)
        _text(root, middle, panel.top + PANEL + 16, phase.name, FAINT, anchor="middle")
        for line in panel.lines:
            for part in _parts(phase.series, line):
                points = " ".join(f"{x(began + second + 0.5):.1f},{y(value):.1f}" for second, value in part)
                SubElement(root, "polyline", points=points, fill="none", stroke=line.colour).set("stroke-width", "1.5")
        began += len(phase.series)


def _parts(series: Sequence[Second], line: Line) -> list[list[tuple[int, float]]]:
    """The runs of seconds that have a value."""
    parts: list[list[tuple[int, float]]] = [[]]
    for second, values in enumerate(series):
        if (value := line.value(values)) is None:
            parts.append([])
        else:
            parts[-1].append((second, value))
    return [part for part in parts if part]


def ticks(low: float, high: float, *, logarithmic: bool) -> list[float]:
    if not logarithmic:
        return [high * n / TICKS for n in range(TICKS + 1)]
    return [low * 10**n for n in range(round(math.log10(high / low)) + 1)]


def bounds(values: Sequence[float], *, logarithmic: bool) -> tuple[float, float]:
    """Whole decades around the values, or from 0 to a round number above them."""
    if not logarithmic:
        return 0.0, _round_up(max(values, default=1.0))
    low, high = min(values, default=1.0), max(values, default=10.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return 10.0**first, 10.0 ** max(last, first + 1)


def _round_up(value: float) -> float:
    """To a number that divides by TICKS nicely: 1, 2 or 5 and zeros, times TICKS."""
    step = value / TICKS
    decade = 10.0 ** math.floor(math.log10(step))
    return TICKS * decade * next(nice for nice in (1, 2, 5, 10) if nice * decade >= step)


def _text(root: Element, x: float, y: float, text: str, fill: str, *, anchor: str = "start", size: int = 12) -> None:
    at = {"x": f"{x:.1f}", "y": f"{y:.1f}", "fill": fill, "text-anchor": anchor, "font-size": str(size)}
    SubElement(root, "text", at).text = text


def _line(
    root: Element, x1: float, y1: float, x2: float, y2: float, stroke: str, *, width: float = 1, dashes: str = "none"
) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    SubElement(root, "line", {**ends, "stroke": stroke, "stroke-width": str(width), "stroke-dasharray": dashes})
