"""Customers of a real shop who order again and again, each on a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from e2e.substrates.substrate import Order
from e2e.waiting import eventually

CUSTOMERS = 4
"""Who order at the same time."""
THINKS_S = 0.2
"""How long each of them waits before the next order."""
ACCEPTED_WITHIN_S = 60.0
"""So many orders as are waited for."""


@contextmanager
def ordering(place: Callable[[Order], str], draw: Callable[[], Order], thinks_s: float) -> Generator[Load]:
    """They order inside the block. Raises what has ended one of them."""
    load = Load(place, draw, thinks_s)
    try:
        yield load
    finally:
        load.stop()


class Load:
    """So many customers, each of whom orders again some time after the last order was accepted."""

    def __init__(self, place: Callable[[Order], str], draw: Callable[[], Order], thinks_s: float) -> None:
        self._place, self._draw, self._thinks_s = place, draw, thinks_s
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._accepted = 0
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._order) for _ in range(CUSTOMERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def wait_for(self, count: int) -> None:
        target = self._accepted + count
        what = f"{count} more orders are accepted"
        eventually(what, lambda: self._failure is not None or self._accepted >= target, ACCEPTED_WITHIN_S)

    def _order(self) -> None:
        try:
            while not self._stopping.is_set():
                with self._lock:
                    order = self._draw()
                self._place(order)
                with self._lock:
                    self._accepted += 1
                self._stopping.wait(self._thinks_s)
        except BaseException as error:  # noqa: BLE001 raised again where the load ends
            self._failure = error
