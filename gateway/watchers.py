"""What one client sees of one order.

Watchers are level-triggered: an order keeps its newest document and nothing else, and each watcher takes it when its
client is ready for more. So a slow client costs one reference, skips states, and never holds up another; and no watcher
is ever given a document whose seq is not above the last one that it got.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.documents import Snapshot


class UnknownOrderError(Exception):
    """The order was never accepted."""


class TooManyWatchersError(Exception):
    """A limit is reached; try again later."""


class HubClosedError(Exception):
    """The gateway is shutting down; connect again."""


class WatchedOrder:
    """One watched order: its newest document and those who watch it."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        self.newest: Snapshot | None = None
        # Why nobody can watch it any more.
        self.fate: UnknownOrderError | HubClosedError | None = None
        self.watchers: set[Watcher] = set()
        self.lookup: asyncio.Task[None] | None = None

    def publish(self, new: Snapshot) -> None:
        if self.newest is None or new.seq > self.newest.seq:
            self.newest = new
            self.wake()

    def wake(self) -> None:
        for watcher in self.watchers:
            watcher.changed.set()


class Watcher:
    """One client's view of an order: iterate for documents. Leave it by `close()`, or use it as a context manager."""

    def __init__(self, order: WatchedOrder, since: int, leave: Callable[[Watcher], None]) -> None:
        self.order = order
        self._leave = leave
        self._sent = since
        self.changed = asyncio.Event()
        self.left = False

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> Snapshot:
        """The next document; ends after the final one, and after `close()`. Raises UnknownOrderError, HubClosedError.

        Cancelling a wait loses nothing."""
        while True:
            await self.known()
            newest = self.order.newest
            if self.left or newest is None:
                raise StopAsyncIteration
            if newest.seq > self._sent:
                self._sent = newest.seq
                return newest
            if newest.final:
                raise StopAsyncIteration
            await self._change()

    async def known(self) -> None:
        """Waits until something can be said of the order, or this watcher is closed.

        Raises UnknownOrderError, HubClosedError."""
        while not self.left:
            if self.order.fate is not None:
                raise self.order.fate
            if self.order.newest is not None:
                return
            await self._change()

    @property
    def is_over(self) -> bool:
        """Nothing more will come: the client has the final document already."""
        newest = self.order.newest
        return newest is not None and newest.final and newest.seq <= self._sent

    async def _change(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def close(self) -> None:
        if not self.left:
            self.left = True
            self.changed.set()
            self._leave(self)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
