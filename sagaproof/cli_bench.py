# ruff: noqa: PLC0415
"""`sagaproof bench`: the benchmark."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import console
from sagaproof.errors import CommandError

if TYPE_CHECKING:
    from bench.results import Bench

PANEL = "Run"

app = typer.Typer()

WIDE = 400
"""Characters of a table of many runs: it is for a file, and terminals break its lines."""


@app.command(rich_help_panel=PANEL)
def bench(
    *,
    seconds: Annotated[float, typer.Option(min=0, help="How long the closed loop takes; 0 leaves it out.")] = 60.0,
    connections: Annotated[int, typer.Option(min=1, help="Clients of the closed loop.")] = 32,
    rate: Annotated[float, typer.Option(min=0, help="Orders a second of the open loop; 0 leaves it out.")] = 100.0,
    rate_seconds: Annotated[float, typer.Option(min=1, help="How long the open loop takes.")] = 30.0,
    alone: Annotated[int, typer.Option(min=0, help="Orders that are placed one at a time; 0 leaves it out.")] = 200,
    orders: Annotated[
        int,
        typer.Option(min=0, max=5_000_000, help="Growth: place so many in place of the closed loop, compare the ends."),
    ] = 0,
    products: Annotated[int, typer.Option(min=1, max=1000, help="Products of the catalogue.")] = 3,
    postgres: Annotated[bool, typer.Option("--postgres", help="On PostgreSQL.")] = False,
    mode: Annotated[str, typer.Option(help="choreographed or orchestrated.")] = "choreographed",
    replicas: Annotated[int, typer.Option(min=1, help="Processes of each service.")] = 1,
    idle: Annotated[float, typer.Option(min=0, help="Seconds for which idle CPU is measured first.")] = 15.0,
    warm_up: Annotated[int, typer.Option(min=0, help="Orders before anything is measured.")] = 2_000,
    against: Annotated[
        str | None, typer.Option(metavar="URL", help="A shop of this machine that runs already.", show_default=False)
    ] = None,
    show: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Measure nothing; show earlier runs side by side.", show_default=False),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Where to write all figures.", show_default=False)
    ] = None,
) -> None:
    """Measure a shop of its own: closed loop, open loop, one order at a time; then count that nothing was lost.

    \b
    sagaproof bench
    sagaproof bench --postgres --replicas 2
    sagaproof bench --seconds 0 --alone 0 --rate 500
    sagaproof bench --orders 500000
    sagaproof bench --show one.json --show another.json
    """
    import msgspec

    from bench import chart, report
    from bench.run import Plan
    from bench.run import bench as measure
    from sagaproof.settings import state_home

    where = console()
    if show:
        where.width = WIDE
        where.print(report.side_by_side([_read(each) for each in show]))
        return
    plan = Plan(
        seconds=seconds,
        connections=connections,
        rate=rate,
        rate_seconds=rate_seconds,
        alone=alone,
        orders=orders,
        products=products,
        postgres=postgres,
        mode=mode,
        replicas=replicas,
        idle_s=idle,
        warm_up=warm_up,
    )
    home = state_home(os.environ)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, as by Ctrl-C
    with where.status("") as status:
        said = [""]

        def tell(line: str) -> None:
            if where.is_terminal:
                status.update(line)
            elif (about := line.partition(":")[0]) != said[0]:
                said[0] = about
                print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)

        found = measure(plan, home, against, tell)
    report.show_all(found, where)
    path = json_file or home / "bench" / f"{datetime.fromtimestamp(found.at, UTC):%Y%m%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    picture = path.with_suffix(".svg")
    picture.write_bytes(chart.svg(found))
    where.print(f"all figures: {path}\nas a chart:  {picture}", soft_wrap=True)
    raise typer.Exit(1 if found.check.wrong else 0)


def _read(path: Path) -> "Bench":
    import msgspec

    from bench.results import Bench

    try:
        return msgspec.json.decode(path.read_bytes(), type=Bench)
    except (OSError, msgspec.DecodeError) as error:
        raise CommandError(f"{path} is no result of this version's benchmark: {error}") from None
