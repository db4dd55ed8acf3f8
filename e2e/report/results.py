"""What a run of the tests came to: what pytest reports of each test, and the whole shops that tests have recorded."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from e2e.report.summary import Summary

ASKED = ("substrate", "mode", "seed")
"""Options of pytest that change what runs."""
BUNDLE = "bundle"
"""The property of a failed test that names its folder; it is in the JUnit XML too."""
TEXT_MAX = 20_000
"""Characters of a failure's text; its end is kept."""

Outcome = Literal["passed", "failed", "skipped"]


class Shop(msgspec.Struct, frozen=True):
    """The history that a test has left. `substrate`: '' where that is not said."""

    test: str
    substrate: str
    summary: Summary


class Test(msgspec.Struct):
    """`text`: why it failed or was skipped; bundle: the folder with what is left of its shop, as the page links it."""

    __test__ = False

    name: str
    outcome: Outcome = "passed"
    seconds: float = 0.0
    text: str = ""
    bundle: str = ""


class Results:
    """Of a whole run, as the reports come in, from this process or from workers."""

    def __init__(self) -> None:
        self.tests: dict[str, Test] = {}

    def take(self, report: pytest.TestReport) -> None:
        test = self.tests.setdefault(report.nodeid, Test(report.nodeid))
        test.seconds += report.duration
        if report.failed:
            test.outcome = "failed"
            test.text = f"{test.text}\n\n{report.longreprtext}".strip()[-TEXT_MAX:]
            test.bundle = next((str(value) for name, value in report.user_properties if name == BUNDLE), "")
        elif report.skipped and test.outcome == "passed":
            test.outcome = "skipped"
            reason = report.longrepr
            test.text = str(reason[2]) if isinstance(reason, tuple) else report.longreprtext

    def counts(self) -> dict[Outcome, int]:
        outcomes = [test.outcome for test in self.tests.values()]
        return {outcome: outcomes.count(outcome) for outcome in ("failed", "passed", "skipped")}
