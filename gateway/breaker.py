"""A circuit breaker: after enough failures in a row, calls are refused at once, except one probe per cool-down.

Written here because the async libraries let every caller through at once when half open, and use the wall clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    def __init__(self, failures: int, cooldown_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._failures = 0
        self._probe_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= self._limit

    def would_allow(self) -> bool:
        return not self.is_open or self._clock() >= self._probe_at

    def allows(self) -> bool:
        """Whether a call may go now. While open, True makes the caller the probe: nobody else goes for a cool-down."""
        if not self.would_allow():
            return False
        if self.is_open:
            self._probe_at = self._clock() + self._cooldown_s
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self.is_open:
            self._probe_at = self._clock() + self._cooldown_s
