"""A comparison of the modes for people: one table, a mode a column, on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Callable

from rich.box import MARKDOWN, SIMPLE, Box
from rich.table import Table

from bench.compare import KILLED, KILLED_LAST, Compared, Side
from bench.results import Phase, Spread

Figure = tuple[str, Callable[[Side], str]]


def conditions(found: Compared) -> str:
    """Under which it was measured, in one line."""
    machine, plan = found.machine, found.plan
    return (
        f"{machine.cores} x {machine.cpu}, {machine.system}, Python {machine.python}, Kafka {machine.kafka}, SQLite; "
        f"commit {machine.commit}; load average before: {machine.load_before}. "
        f"{plan.connections} connections for {plan.seconds:g} s, then {plan.rate:g} orders a second with a kill "
        f"every {plan.gap_s:g} s."
    )


def table(found: Compared, box: Box = SIMPLE) -> Table:
    made = Table(box=box)
    made.add_column("")
    for side in found.sides:
        made.add_column(side.mode, justify="right")
    for name, figure in _figures():
        made.add_row(name, *map(figure, found.sides))
    return made


def markdown(found: Compared) -> Table:
    return table(found, MARKDOWN)


def _figures() -> list[Figure]:
    return [
        ("undisturbed: orders completed a second", lambda side: f"{side.undisturbed.completed_per_s:,.0f}"),
        ("POST to ending, p50 / p95 / p99, ms", lambda side: _spread(side.undisturbed.terminal)),
        ("CPU per completed order, ms", lambda side: f"{side.undisturbed.cpu_ms_per_order:.2f}"),
        ("messages handled, an order", lambda side: _each(side.undisturbed, _messages(side.undisturbed), 1)),
        ("records on the topics, an order", lambda side: _each(side.undisturbed, side.records, 1)),
        ("topics, bytes an order", lambda side: _each(side.undisturbed, side.undisturbed.topic_bytes)),
        ("databases, bytes an order", lambda side: _each(side.undisturbed, side.undisturbed.disk_bytes)),
        ("with faults: orders completed a second", lambda side: f"{side.disturbed.completed_per_s:,.0f}"),
        ("due to ending, p50 / p95 / p99, ms", lambda side: _spread(side.disturbed.terminal)),
        *[_recovery(target) for target in (*KILLED, KILLED_LAST)],
        ("accepted, completed, cancelled", _ended),
        ("not accepted", lambda side: f"{side.disturbed.sent - side.disturbed.accepted:,}"),
        ("lost, doubled or not adding up", lambda side: "; ".join(side.check.wrong) or "none"),
    ]


def _recovery(target: str) -> Figure:
    def figure(side: Side) -> str:
        fault = next((fault for fault in side.faults if fault.target == target), None)
        if fault is None:
            return "-"
        recovered = "not in time" if fault.recovered_s is None else f"{fault.recovered_s:.1f}"
        return f"{recovered} / {fault.ready_s:.1f}"

    return f"kill of {target}: recovered / ready after, s", figure


def _spread(spread: Spread | None) -> str:
    return f"{spread.p50_ms:,.0f} / {spread.p95_ms:,.0f} / {spread.p99_ms:,.0f}" if spread else "-"


def _messages(phase: Phase) -> int:
    return sum(messages for _, messages in phase.batches.values())


def _each(phase: Phase, amount: int, digits: int = 0) -> str:
    return f"{amount / phase.completed:,.{digits}f}" if phase.completed else "-"


def _ended(side: Side) -> str:
    cancelled = sum(side.check.cancelled.values())
    return f"{side.check.accepted:,}, {side.check.completed:,}, {cancelled:,}"
