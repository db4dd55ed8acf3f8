"""`python -m bench.compare_main`: compares the modes, prints the table and writes it as JSON and Markdown."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from bench.compare import Plan, compare
from bench.compared import conditions, markdown, table
from sagaproof.errors import CommandError
from sagaproof.settings import state_home

WIDE = 400
"""Characters of the table in a file: no line is broken."""


def main() -> int:
    """Exit code 1 if something was lost or doubled, or a shop failed."""
    plan, json_file = _asked()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, as by Ctrl-C
    home, said = state_home(os.environ), [""]

    def tell(line: str) -> None:
        about = ":".join(line.split(":")[:2])
        if about != said[0]:
            said[0] = about
            print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)

    try:
        found = compare(plan, home, tell)
    except CommandError as error:
        print("\n  ".join([error.line, *error.details]), file=sys.stderr)
        return 1
    path = json_file or home / "bench" / f"compare-{datetime.fromtimestamp(found.at, UTC):%Y%m%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    with path.with_suffix(".md").open("w") as file:
        print(f"{conditions(found)}\n", file=file)
        Console(file=file, width=WIDE).print(markdown(found))
    console = Console()
    console.print(f"\n{conditions(found)}\n", soft_wrap=True, highlight=False)
    console.print(table(found))
    console.print(f"all figures: {path}\nas Markdown: {path.with_suffix('.md')}", soft_wrap=True, highlight=False)
    return 1 if any(side.check.wrong for side in found.sides) else 0


def _asked() -> tuple[Plan, Path | None]:
    usual = Plan()
    parser = argparse.ArgumentParser(prog="make compare ARGS=...", description="Compares the modes of the saga.")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of the undisturbed closed loop")
    parser.add_argument("--connections", type=int, default=usual.connections, help="of the closed loop")
    parser.add_argument("--rate", type=float, default=usual.rate, help="orders a second while processes are killed")
    parser.add_argument("--gap", type=float, default=usual.gap_s, help="seconds between two kills")
    parser.add_argument("--warm-up", type=int, default=usual.warm_up, help="orders before anything is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all figures; Markdown goes beside it")
    asked = parser.parse_args()
    plan = Plan(
        warm_up=asked.warm_up,
        seconds=asked.seconds,
        connections=asked.connections,
        rate=asked.rate,
        gap_s=asked.gap,
    )
    return plan, asked.json


if __name__ == "__main__":
    raise SystemExit(main())
