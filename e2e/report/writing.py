"""In the process that was started: hears of every test, and writes the page."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import machine
from e2e.report import page
from e2e.report.results import ASKED, Results, Shop

PARTS = "report_parts"
"""What a worker is told: the folder for what its tests leave."""


class Writing:
    """The process that was started: hears of every test, and writes the page."""

    def __init__(self, folder: Path, parts: Path, config: pytest.Config) -> None:
        self._folder = folder
        self._parts = parts
        self._config = config
        self._results = Results()
        self._began = time.time()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Of xdist: what a worker is told."""
        node.workerinput[PARTS] = str(self._parts)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._results.take(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if not self._results.tests:
            return
        parts = sorted(self._parts.glob("*.json"))
        shops = [msgspec.json.decode(part.read_bytes(), type=Shop) for part in parts]
        options = {name: shown for name in ASKED if (shown := _shown(getattr(self._config.option, name, None)))}
        run = page.Run(
            self._results, shops, machine.facts(), options, self._began, time.time() - self._began, int(exitstatus)
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "index.html").write_text(page.html(run))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._results.tests:
            where = os.path.relpath(self._folder / "index.html", self._config.invocation_params.dir)
            terminalreporter.write_line(f"report: {where}")

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self._parts, ignore_errors=True)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    return "" if value is None else str(value)
