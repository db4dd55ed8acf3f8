"""Waiting for what must become true: never for a time, always with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

LOOK_EVERY_S = 0.05

T = TypeVar("T")


def eventually(
    what: str | Callable[[], str], probe: Callable[[], T | None], within_s: float, every_s: float = LOOK_EVERY_S
) -> T:
    """The first result of `probe` that is true; AssertionError with `what`, as it is then, after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what if isinstance(what, str) else what()}")
        time.sleep(every_s)  # between two looks at a condition
