"""How the tests run side by side (`make test`), each worker taking one group after the other.

Those that need a whole shop are one group, so that there is one shop at a time, and come first: they take the longest.
Others are a group for each file, which shares what is slow to start, but for those that share nothing.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from coverage import Coverage
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["e2e.report.plugin", "e2e.substrates.options"]

SCENARIOS = "e2e/scenarios/"
WHOLE_SHOP = ("e2e/test_", SCENARIOS, "bench/tests/test_whole")
BY_THEMSELVES = ("services/tests/", "e2e/simulated/tests/test_histories")
"""Tests that share nothing, and of which some take long."""
SIMULATED = "[simulated-"
"""In the name of a scenario's case that needs no shop."""
LATE = {
    "test_whole_histories.py": 1,
    "test_poison.py": 2,
    "test_bad_days.py": 3,
    "test_dead_letters.py": 3,
    "test_console.py": 3,
}
"""Of the tests of one shop: the last ones put records there that nobody has stored."""
COVERED = "services/"
"""Where coverage is measured: it costs half of the speed, of the processes that tests start too."""
WALKS = ("services/tests/test_interleavings", "services/tests/test_rivals")
"""Each step of the saga a million times: where coverage would cost most, and say least."""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Ends what coverage and pytest-cov began as a worker started: of those that measure it can pause the last only."""
    if hasattr(session.config, "workerinput") and session.config.pluginmanager.has_plugin("_cov"):
        while (began := Coverage.current()) is not None:
            began.stop()


class SideBySide(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(WHOLE_SHOP) and SIMULATED not in nodeid:
            return "shop"
        return nodeid if nodeid.startswith(BY_THEMSELVES) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    return SideBySide(config, log)


def _is_covered(item: pytest.Item) -> bool:
    return item.nodeid.startswith(COVERED) and not item.nodeid.startswith(WALKS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    for item in items:
        if not _is_covered(item):
            item.add_marker(pytest.mark.no_cover)


def _turn(item: pytest.Item) -> tuple[int, str, int]:
    """Of a test: the shops one variant after the other, then what starts brokers, then the rest.

    Scenarios come first: they know what they have done to a shop, and check all of its history.
    """
    if item.get_closest_marker("e2e"):
        callspec = getattr(item, "callspec", None)
        on = callspec.params.get("substrate", callspec.params.get("shop")) if callspec else None
        first = -1 if item.nodeid.startswith(SCENARIOS) else 0
        return 0, getattr(on, "variant", on) or "", LATE.get(item.path.name, first)
    if item.get_closest_marker("integration"):
        return 1, "", 0
    return 2, "", 0 if item.nodeid.startswith(BY_THEMSELVES) else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Processes are measured whose environment says so (coverage's `patch = subprocess`)."""
    if _is_covered(item):
        return (yield)
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("COVERAGE_PROCESS")}
    try:
        return (yield)
    finally:
        os.environ.update(hidden)
