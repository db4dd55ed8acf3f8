"""Where tests run: writes down what each has left of its shop, and keeps everything of one that has failed."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from _pytest._code.code import ExceptionChainRepr

from e2e.history import History
from e2e.report import HISTORY, bundle
from e2e.report.results import ASKED, BUNDLE, Shop
from e2e.report.summary import summary


class Collecting:
    """Where tests run: writes down what each has left."""

    def __init__(self, folder: Path, parts: Path, config: pytest.Config) -> None:
        self._folder = folder
        self._parts = parts
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        history = item.stash.get(HISTORY, None)
        if report.failed and not _has_bundle(item):
            self._keep(item, report, history)
        if call.when == "teardown" and history is not None:
            shop = Shop(item.nodeid, _substrate(item), summary(history, _seed(self._config)))
            part = self._parts / f"{os.getpid()}-{time.monotonic_ns()}.json"
            part.write_bytes(msgspec.json.encode(shop))
            del item.stash[HISTORY]
        return report

    def _keep(self, item: pytest.Item, report: pytest.TestReport, history: History | None) -> None:
        shop = next((value for value in _funcargs(item).values() if hasattr(value, "addresses")), None)
        if shop is None and history is None:
            return
        folder = self._folder / "failures" / bundle.folder_name(item.nodeid)
        named = os.path.relpath(folder, self._config.invocation_params.dir)
        said = f"What is left of the shop, and how to see this again: {named}"
        try:
            bundle.keep(folder, _command(item), report.longreprtext, history, shop)
        except Exception as error:  # noqa: BLE001 the failure itself matters more, and is told in any case
            said = f"{said}\nNot all of it: {error!r}"
        if isinstance(report.longrepr, ExceptionChainRepr):
            report.longrepr.addsection("report", said)
        else:
            report.longrepr = f"{report.longreprtext}\n{said}"
        named_in_page = BUNDLE, folder.relative_to(self._folder).as_posix()
        report.user_properties.append(named_in_page)
        item.user_properties.append(named_in_page)


def _has_bundle(item: pytest.Item) -> bool:
    return any(name == BUNDLE for name, _ in item.user_properties)


def _funcargs(item: pytest.Item) -> dict[str, Any]:
    return getattr(item, "funcargs", {})


def _substrate(item: pytest.Item) -> str:
    return next(
        (name for value in _funcargs(item).values() if isinstance(name := getattr(value, "name", None), str)), ""
    )


def _seed(config: pytest.Config) -> int:
    return getattr(config.option, "seed", None) or 0


def _command(item: pytest.Item) -> str:
    """Runs this test alone, with what the run was told."""
    words = [".venv/bin/python", "-m", "pytest", item.nodeid]
    for name in ASKED:
        value = getattr(item.config.option, name, None)
        for each in value if isinstance(value, list | tuple) else [value]:  # pyright: ignore[reportUnknownVariableType]
            if each is not None:
                words += [f"--{name}", str(each)]  # pyright: ignore[reportUnknownArgumentType]
    return f"{shlex.join(words)}\n"
