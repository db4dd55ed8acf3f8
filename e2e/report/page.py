"""The page of a run: one HTML file that needs nothing else, and no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.machine import Machine
from e2e.checks import CHECKS
from e2e.report import chart
from e2e.report.results import Results, Shop, Test
from e2e.report.summary import SAMPLE_MAX, WRONG_MAX

SAMPLES_MAX = 240
"""Orders without a violation, over all shops: each shows its share, one at least."""
NAMED_MAX = 2_000
"""Tests by name; of more, only those that did not pass."""


OPEN_MAX = 4
"""Shops; where there are more, those in which all is right are folded up."""


class Run(NamedTuple):
    """All that the page is made of. `options`: what pytest was told about substrate, mode and seed."""

    results: Results
    shops: Sequence[Shop]
    machine: Machine
    options: Mapping[str, str]
    began: float
    seconds: float
    exit_code: int


class _File(NamedTuple):
    """The tests of one file."""

    name: str
    tests: list[Test]
    passed: int
    failed: int
    skipped: int
    seconds: float


def html(run: Run) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast("Any", environment).filters |= {"seconds": _seconds, "many": _many, "sentence": _sentence}
    failed = [test for test in run.results.tests.values() if test.outcome == "failed"]
    bad = {test.name for test in failed}
    shops = sorted(run.shops, key=lambda shop: (shop.test not in bad and not _wrong(shop), shop.test))
    return environment.get_template("page.html.jinja").render(
        run=run,
        began=f"{datetime.fromtimestamp(run.began, UTC):%Y-%m-%d %H:%M:%S} UTC",
        counts=run.results.counts(),
        failed=failed,
        files=_files(run.results),
        named=len(run.results.tests) <= NAMED_MAX,
        shops=shops,
        wrong=_wrong,
        verdicts=[_verdict(name, shops) for name in CHECKS],
        open_max=OPEN_MAX,
        wrong_max=WRONG_MAX,
        charts=chart.charts,
        box=chart,
        samples=min(SAMPLE_MAX, max(1, SAMPLES_MAX // max(1, len(shops)))),
        orders=sum(shop.summary.orders for shop in shops),
        faults=sum(len(shop.summary.faults) for shop in shops),
    )


def _wrong(shop: Shop) -> int:
    """Violations."""
    return sum(verdict.count for verdict in shop.summary.checks)


def _verdict(check: str, shops: Sequence[Shop]) -> tuple[str, int, int]:
    """In how many shops it found nothing wrong, and in how many it did."""
    bad = sum(1 for shop in shops for verdict in shop.summary.checks if verdict.check == check and verdict.count)
    return check, len(shops) - bad, bad


def _many(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def _sentence(test: str) -> str:
    """A test's name is one: `test_x.py::test_a_thing_is_so[case]` is `a thing is so [case]`."""
    function, bracket, case = test.partition("::")[2].partition("[")
    return function.removeprefix("test_").replace("_", " ") + (f" {bracket}{case}" if bracket else "")


def _files(results: Results) -> list[_File]:
    files: dict[str, list[Test]] = {}
    for test in results.tests.values():
        files.setdefault(test.name.partition("::")[0], []).append(test)
    return [_file(name, tests) for name, tests in sorted(files.items())]


def _file(name: str, tests: list[Test]) -> _File:
    outcomes = [test.outcome for test in tests]
    passed, failed, skipped = (outcomes.count(outcome) for outcome in ("passed", "failed", "skipped"))
    return _File(name, tests, passed, failed, skipped, sum(test.seconds for test in tests))


def _seconds(seconds: float) -> str:
    """As people say it: 0.04 s, 12 s, 3 min 20 s."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
