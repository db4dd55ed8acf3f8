"""A benchmark's figures on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.model import costs
from bench.results import Bench, Phase, Spread
from sagaproof import show

MB = 1_000_000


def show_all(found: Bench, console: Console) -> None:
    """Everything that a person wants to see; the rest is in the JSON file."""
    machine = found.machine
    console.print(
        Text(
            f"\n{machine.cores} x {machine.cpu}, {machine.system}, Python {machine.python}, Kafka {machine.kafka}; "
            f"commit {machine.commit}; load average before: {machine.load_before}"
        ),
        soft_wrap=True,
    )
    console.print(f"{title(found)}\n")
    console.print(_phases(found.phases))
    console.print()
    console.print(_processes(found))
    console.print()
    console.print(_loops(found))
    if found.first_order_s is not None:
        console.print(f"\nstart to first completed order: {found.first_order_s:.1f} s")
    if found.idle_cores:
        console.print(f"idle: {sum(found.idle_cores.values()):.3f} cores")
    if found.growth is not None:
        console.print(f"CPU per order of the last 5,000 against the first 5,000: {found.growth:.2f} x")
    check = found.check
    if check.wrong:
        console.print(Text("the count is WRONG:", style="red"))
        for line in check.wrong:
            console.print(f"  {line}")
    else:
        console.print(
            Text(
                f"counted: {check.accepted:,} orders accepted, each ended once, {check.completed:,} completed; "
                "stock and money add up, no dead letters",
                style="green",
            )
        )


def side_by_side(runs: Sequence[Bench]) -> Table:
    """The figures of several runs as a Markdown table, a run a column."""
    figures: list[tuple[str, Callable[[Bench], str]]] = [
        (
            "orders completed a second, closed loop",
            lambda run: _of(run, "closed", lambda p: f"{p.completed_per_s:,.0f}"),
        ),
        ("CPU per completed order, ms", lambda run: _of(run, "closed", lambda p: f"{p.cpu_ms_per_order:.2f}")),
        (
            "POST to ending under this load, p50 / p99, ms",
            lambda run: _of(run, "closed", lambda p: _spread(p.terminal, "p50_ms", "p99_ms")),
        ),
        ("open loop, orders a second", lambda run: _of(run, "open", lambda p: f"{p.rate:,.0f}")),
        (
            "POST to ending, p50 / p99, ms",
            lambda run: _of(run, "open", lambda p: _spread(p.terminal, "p50_ms", "p99_ms")),
        ),
        (
            "POST to COMPLETED on a WebSocket, p50 / p99, ms",
            lambda run: _of(run, "open", lambda p: _spread(p.watched, "p50_ms", "p99_ms")),
        ),
        ("cores busy", lambda run: _of(run, "open", lambda p: f"{p.busy_cores:.2f}")),
        (
            "one at a time, POST to COMPLETED on a WebSocket, p50 / p99, ms",
            lambda run: _of(run, "alone", lambda p: _spread(p.watched, "p50_ms", "p99_ms")),
        ),
        ("idle, cores busy", lambda run: f"{sum(run.idle_cores.values()):.3f}" if run.idle_cores else "-"),
        ("memory of everything, PSS, MB", _memory_of),
        ("start to first completed order, s", lambda run: f"{run.first_order_s:.1f}" if run.first_order_s else "-"),
        ("messages / transactions, an order", lambda run: _of(run, "closed", _transactions)),
        ("database / topics, bytes per order", lambda run: _of(run, "closed", _bytes)),
        ("orders stored; CPU per order, last against first 5,000", _grown),
        ("accepted orders lost, doubled or not adding up", lambda run: "; ".join(run.check.wrong) or "none"),
        ("load average before", lambda run: f"{run.machine.load_before:.1f}"),
        ("commit", lambda run: run.machine.commit),
    ]
    table = Table(box=MARKDOWN)
    table.add_column("")
    for run in runs:
        table.add_column(title(run), justify="right")
    for name, figure in figures:
        table.add_row(name, *map(figure, runs))
    return table


def _of(run: Bench, kind: str, figure: Callable[[Phase], str]) -> str:
    """Of the longest phase of a kind."""
    phases = [phase for phase in run.phases if phase.kind == kind]
    return figure(max(phases, key=lambda phase: phase.accepted)) if phases else "-"


def _memory_of(run: Bench) -> str:
    most = max(sum(each.pss or each.rss for each in phase.memory.values()) for phase in run.phases)
    return f"{most / MB:,.0f}"


def _bytes(phase: Phase) -> str:
    return f"{_each(phase.disk_bytes, phase)} / {_each(phase.topic_bytes, phase)}"


def _transactions(phase: Phase) -> str:
    counts, totals = zip(*phase.batches.values(), strict=True)
    return f"{sum(totals) / phase.completed:.1f} / {sum(counts) / phase.completed:.2f}" if phase.completed else "-"


def _grown(run: Bench) -> str:
    return f"{run.check.completed:,}; {run.growth:.2f} x" if run.growth else "-"


def title(run: Bench) -> str:
    """What was measured, in a few words."""
    plan = run.plan
    database = "PostgreSQL" if plan["postgres"] else "SQLite"
    replicas = f", {plan['replicas']} replicas" if plan["replicas"] != 1 else ""
    return f"{plan['mode']}, {database}{replicas}, {plan['products']} products"


def _phases(phases: Sequence[Phase]) -> Table:
    """A figure a row, a phase a column."""
    figures: list[tuple[str, Callable[[Phase], str]]] = [
        ("orders accepted", lambda phase: f"{phase.accepted:,}"),
        ("accepted a second", lambda phase: f"{phase.accepted_per_s:,.1f}"),
        ("completed a second", lambda phase: f"{phase.completed_per_s:,.1f}"),
        ("POST to ending, p50 / p95 / p99, ms", lambda phase: _spread(phase.terminal, "p50_ms", "p95_ms", "p99_ms")),
        ("POST to COMPLETED on a WebSocket, ms", lambda phase: _spread(phase.watched, "p50_ms", "p95_ms", "p99_ms")),
        ("POST to its answer, ms", lambda phase: _spread(phase.answer, "p50_ms", "p95_ms", "p99_ms")),
        ("CPU per completed order, ms", lambda phase: f"{phase.cpu_ms_per_order:.2f}"),
        ("cores busy during the load", lambda phase: f"{phase.busy_cores:.2f}"),
        ("database, bytes per order", lambda phase: _each(phase.disk_bytes, phase)),
        ("topics, bytes per order", lambda phase: _each(phase.topic_bytes, phase)),
        ("refused, cancelled, lost", lambda phase: f"{sum(phase.errors.values())}, {phase.cancelled}, {phase.lost}"),
        ("load average before", lambda phase: f"{phase.load_before:.1f}"),
    ]
    rows = [[title, *map(figure, phases)] for title, figure in figures]
    return show.table(["", *(phase.name for phase in phases)], rows, right=[phase.name for phase in phases])


def _processes(found: Bench) -> Table:
    """CPU ms per order of each process and phase; memory at the end of the fastest."""
    heaviest = _heaviest(found)
    names = [name for name, memory in heaviest.memory.items() if memory.rss]
    columns = ["CPU per order, ms", *(phase.name for phase in found.phases), "RSS MB", "PSS MB"]
    rows = [
        [
            name,
            *(_ms(phase.cpu_s.get(name, 0.0), phase.completed) for phase in found.phases),
            *_memory(heaviest, [name]),
        ]
        for name in names
    ]
    sums = (_ms(sum(phase.cpu_s.values()), phase.completed) for phase in found.phases)
    rows.append(["all", *sums, *_memory(heaviest, names)])
    generator = (_ms(phase.generator_cpu_s, phase.completed) for phase in found.phases)
    rows.append(["(load generator)", *generator, "", ""])
    return show.table(columns, rows, right=columns[1:])


def _loops(found: Bench) -> Table:
    """What the services do for an order in the fastest phase; and what a message and a transaction cost."""
    heaviest = _heaviest(found)
    alone = next((phase for phase in found.phases if phase.kind == "alone"), None)
    known = costs(heaviest, alone, found.idle_cores) if alone else {}
    columns = [
        "",
        "messages an order",
        "in a transaction",
        "CPU us a message",
        "us a transaction",
        "loop, most of the time",
    ]
    rows = [
        [
            name,
            *_batches(heaviest, name),
            *((f"{known[name].a_message_us:,.0f}", f"{known[name].a_transaction_us:,.0f}") if name in known else "--"),
            _phases_of_loop(heaviest.loop_s.get(name, {})),
        ]
        for name in dict.fromkeys([*heaviest.batches, *known])
    ]
    return show.table(columns, rows, right=columns[1:-1])


def _heaviest(found: Bench) -> Phase:
    return max(found.phases, key=lambda phase: phase.completed_per_s)


def _phases_of_loop(seconds: dict[str, float]) -> str:
    """The three phases in which a loop is the longest, while it has work."""
    busy = {name: value for name, value in seconds.items() if name != "wait" and value}
    most = sorted(busy, key=lambda name: busy[name], reverse=True)[:3]
    return ", ".join(f"{name} {busy[name] / sum(busy.values()):.0%}" for name in most)


def _spread(spread: Spread | None, *names: str) -> str:
    return " / ".join(f"{getattr(spread, name):,.0f}" for name in names) if spread else "-"


def _each(amount: int, phase: Phase) -> str:
    return f"{amount / phase.completed:,.0f}" if phase.completed else "-"


def _ms(cpu_s: float, orders: int) -> str:
    return f"{1000 * cpu_s / orders:.3f}" if orders else "-"


def _batches(phase: Phase, name: str) -> tuple[str, str]:
    """Messages of one order that this process handles, and how many share a transaction."""
    count, total = phase.batches.get(name, (0, 0))
    return (f"{total / phase.completed:.1f}", f"{total / count:.1f}") if count and phase.completed else ("-", "-")


def _memory(phase: Phase, names: list[str]) -> tuple[str, str]:
    found = [phase.memory[name] for name in names]
    rss = sum(each.rss for each in found) / MB
    pss = [each.pss for each in found if each.pss is not None]
    return f"{rss:,.0f}", f"{sum(pss) / MB:,.0f}" if len(pss) == len(found) else "-"
