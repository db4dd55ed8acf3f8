"""Watching orders: after each commit, the documents of the orders that changed go to the streams that subscribed.

A stream holds at most the newest state of each of its orders, so a slow reader skips states and holds up nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

from services.engine.participant import State
from services.status.fold import StatusState


class Stream:
    """One reader's subscriptions. Used on the event loop's thread only."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}
        self._newest: dict[str, StatusState | None] = {}
        self._changed = asyncio.Event()

    def subscribe(self, order_id: str, since: int) -> None:
        self._since[order_id] = since

    def tell_unknown(self, order_id: str) -> None:
        """Nothing is known of the order, unless something came in meanwhile."""
        if order_id in self._since and order_id not in self._newest:
            self._newest[order_id] = None
            self._changed.set()

    def unsubscribe(self, order_id: str) -> None:
        self._since.pop(order_id, None)
        self._newest.pop(order_id, None)

    def subscribed(self, order_id: str) -> bool:
        return order_id in self._since

    def offer(self, order_id: str, state: StatusState) -> None:
        """Tells the reader, unless it knows as much already."""
        since = self._since.get(order_id)
        if since is not None and len(state.seen) > since:
            self._since[order_id] = len(state.seen)
            self._newest[order_id] = state
            self._changed.set()

    async def changes(self) -> AsyncIterator[tuple[str, StatusState | None]]:
        """(order id, its newest state) for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            newest, self._newest = self._newest, {}
            for change in newest.items():
                yield change


class Watchers:
    """All streams of this process. `on_change` may be called from any thread; the rest belongs to the event loop."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> Stream:
        self._loop = asyncio.get_running_loop()
        stream = Stream()
        self._streams.add(stream)
        return stream

    def close(self, stream: Stream) -> None:
        self._streams.discard(stream)

    def on_change(self, states: Mapping[str, State]) -> None:
        """Called after each commit with the entities that it changed."""
        if self._streams and self._loop is not None:
            self._loop.call_soon_threadsafe(self._offer, dict(states))

    def _offer(self, states: Mapping[str, State]) -> None:
        for entity, state in states.items():
            order_id = entity.partition("/")[2]
            for stream in self._streams:
                if isinstance(state, StatusState) and stream.subscribed(order_id):
                    stream.offer(order_id, state)
