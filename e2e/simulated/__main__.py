"""Many histories, one for each seed from `--seed` on: `python -m e2e.simulated --histories 200 --seed 1`.

Says what they were like and how fast it went, and stops at the first one in which the checks find anything. A seed
gives the same history everywhere: the digest of the same ones is the same.
With `--matrix` instead: every row of the saga table x every crash point x both modes, as a table.
"""

import argparse
import gc
import hashlib
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from rich.console import Console
from rich.table import Table

from e2e.checks import check
from e2e.explain import explain
from e2e.simulated.cells import CELLS, POINTS, Cell, histories, struck
from e2e.simulated.drawn import draw
from e2e.simulated.run import simulate
from services.saga import Mode

ORDERS = 20


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if something was wrong."""
    given = _parse(arguments)
    if given.matrix:
        return _matrix()
    endings, faults, digest = Counter[str](), Counter[str](), hashlib.sha256()
    took_s, took_cpu_s, began_s = 0.0, 0.0, time.monotonic()
    for seed in range(given.seed, given.seed + given.histories):
        begins_s, begins_cpu_s = time.monotonic(), time.process_time()
        try:
            history = simulate(draw(random.Random(seed), given.mode, given.orders), seed)
        except Exception:
            print(f"error with --mode {given.mode} --orders {given.orders} --seed {seed}:")
            raise
        took_s += time.monotonic() - begins_s
        took_cpu_s += time.process_time() - begins_cpu_s
        endings.update(end.reason or end.status for end in history.statuses.values())
        faults.update(fault.kind for fault in history.faults)
        faults["poison"] += len(history.poisoned)
        digest.update(msgspec.msgpack.encode(history))
        violations = check(history)
        if violations:
            print(f"violations with --mode {given.mode} --orders {given.orders} --seed {seed}:")
            print("\n".join(f"  {violation}" for violation in violations))
            order_id = next((violation.order_id for violation in violations if violation.order_id), "")
            print(explain(history, order_id) if order_id else "")
            return 1
    many, checked_s = given.histories, time.monotonic() - began_s
    print(f"{many} {given.mode} histories of {given.orders} orders, from seed {given.seed}: nothing is wrong")
    print(
        f"a minute  {_rate(many, took_s)}; by CPU time {_rate(many, took_cpu_s)}; checked too {_rate(many, checked_s)}"
    )
    print(f"endings   {_listed(endings)}")
    print(f"faults    {_listed(faults)}")
    print(f"digest    {digest.hexdigest()}")
    return 0


def _matrix() -> int:
    """The exit code: 1 if any cell is not right."""
    legend = "; ".join(f"{n} {point}" for n, point in enumerate(POINTS, 1))
    table = Table(caption=f"{legend}. c choreographed, o orchestrated: a kill there did no harm.")
    table.add_column("row", no_wrap=True)
    for n in range(1, len(POINTS) + 1):
        table.add_column(str(n))
    rows: dict[str, dict[str, str]] = {}
    wrong: list[str] = []
    for cell in CELLS:
        said = _cell(cell, wrong)
        points = rows.setdefault(cell.row_name, dict.fromkeys(POINTS, ""))
        points[cell.point] += f"{said} "
    for name, points in rows.items():
        table.add_row(name, *points.values())
    Console().print(table)
    print(f"{len(CELLS)} cells: {'nothing is wrong' if not wrong else f'{len(wrong)} are wrong'}")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


def _cell(cell: Cell, wrong: list[str]) -> str:
    """What stands in the table; what is wrong is put to `wrong`."""
    history = None
    for seed, history in histories(cell):
        violations = check(history)
        if violations:
            wrong.append("\n  ".join([f"{cell}, seed {seed}:", *map(str, violations)]))
            return "[red]X[/red]"
    if history is None or not struck(cell, history):
        wrong.append(f"{cell}: was not reached")
        return "[red]?[/red]"
    return f"[green]{cell.mode[0]}[/green]"


def _parse(arguments: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m e2e.simulated", description=__doc__)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first one")
    parser.add_argument("--mode", choices=get_args(Mode), default="choreographed")
    parser.add_argument("--orders", type=int, default=ORDERS, help="in each")
    parser.add_argument("--matrix", action="store_true", help="every cell of the matrix instead")
    return parser.parse_args(arguments)


def _rate(number: int, seconds: float) -> str:
    return f"{number / seconds * 60:,.0f}"


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counted.most_common())


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # services warn of what is poisoned on purpose
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as in the services
    sys.exit(main(sys.argv[1:]))
