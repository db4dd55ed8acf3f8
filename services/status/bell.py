"""Waking those who wait for a commit: readers that look again, at their own pace, when something may have changed."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Bell:
    """`ring` may be called from any thread; the rest belongs to the event loop."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ringing = False

    @contextmanager
    def heard(self) -> Generator[asyncio.Event]:
        """An event that is set by every ring, until the end of the block."""
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)

    def ring(self) -> None:
        """Costs next to nothing where nobody waits, or all of them are being woken already."""
        if self._waiting and self._loop is not None and not self._ringing:
            self._ringing = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._ringing = False
        for event in self._waiting:
            event.set()


async def rung(event: asyncio.Event, within_s: float) -> bool:
    """Waits for the next ring, at most so long; whether there was one. Rings while nobody waited count as one."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
