"""Waiting in tests: on a condition, with a deadline."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.02


def until(condition: Callable[[], T], *, within_s: float = 15, what: str = "the condition") -> T:
    """The first truthy value of `condition`; fails at the deadline."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {within_s} s"
        pause.wait(POLL_S)
    return value
