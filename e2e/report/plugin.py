"""Hooks the report into pytest: collects where tests run, writes in the process that was started.

The page and the JUnit file are written where tests of `e2e/` were asked for, a failure's folder at once when its test
has failed. Other runs only have the option.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

REPORTS = "reports"
OURS = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sagaproof")
    group.addoption(
        "--report-dir", default=REPORTS, metavar="DIR", help="Where a run of tests of e2e/ leaves its report."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before pytest's own, so that it finds the name of the JUnit file."""
    if config.option.collectonly or not _asks_for_ours(config):
        return
    from e2e.report.collecting import Collecting  # noqa: PLC0415 only where they are wanted: they bring much with them
    from e2e.report.writing import PARTS, Writing  # noqa: PLC0415

    folder = config.rootpath / config.option.report_dir
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None:
        config.pluginmanager.register(Collecting(folder, Path(worker[PARTS]), config))
        return
    if config.option.xmlpath is None:
        config.option.xmlpath = str(folder / "junit.xml")
    parts = Path(tempfile.mkdtemp(prefix="sagaproof-report-"))
    config.pluginmanager.register(Collecting(folder, parts, config))
    config.pluginmanager.register(Writing(folder, parts, config))


def _asks_for_ours(config: pytest.Config) -> bool:
    """Whether one of the paths that are collected is of e2e/, or holds it."""
    paths = [(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args]
    return any(path == OURS or OURS in path.parents or path in OURS.parents for path in paths)
