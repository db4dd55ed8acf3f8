"""Watching orders: after each commit, the documents of the orders that changed go to the streams that subscribed.

A stream holds at most the newest state of each of its orders, so a slow reader skips states and holds up nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

from services.engine.participant import State
from services.engine.retry import TransientError
from services.status.fold import StatusState

READ_AGAIN_S = 0.2
_PREFIX = f"{StatusState.kind}/"


class Stream:
    """One reader's subscriptions. Used on the event loop's thread only."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}
        self._newest: dict[str, StatusState | None] = {}
        self._changed = asyncio.Event()
        self._error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        """Ends the stream: its reader can open another one, and would hear nothing on this."""
        self._error = error
        self._changed.set()

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

    def subscriptions(self) -> list[str]:
        return list(self._since)

    def offer(self, order_id: str, state: StatusState) -> None:
        """Tells the reader, unless it knows as much already."""
        since = self._since.get(order_id)
        if since is not None and len(state.seen) > since:
            self._since[order_id] = len(state.seen)
            self._newest[order_id] = state
            self._changed.set()

    async def changes(self) -> AsyncIterator[tuple[str, StatusState | None]]:
        """(order id, its newest state) for ever. Raises what `fail` was called with."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._error is not None:
                raise self._error
            newest, self._newest = self._newest, {}
            for change in newest.items():
                yield change


class Watchers:
    """All streams of this process. `on_change` may be called from any thread; the rest belongs to the event loop."""

    def __init__(self) -> None:
        self._streams: frozenset[Stream] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stale: set[str] = set()
        self._reading: asyncio.Task[None] | None = None

    def open(self) -> Stream:
        self._loop = asyncio.get_running_loop()
        stream = Stream()
        self._streams |= {stream}
        return stream

    def close(self, stream: Stream) -> None:
        self._streams -= {stream}

    def on_change(self, states: Mapping[str, State]) -> None:
        """Called after each commit with the entities that it changed."""
        if self._loop is None:
            return
        # Looked up on the loop's thread, so that the event loop is woken only for what somebody watches. Who subscribes
        # right after it reads the state that is committed already.
        streams = self._streams
        watched = [
            (entity[len(_PREFIX) :], state)
            for entity, state in states.items()
            if isinstance(state, StatusState) and any(stream.subscribed(entity[len(_PREFIX) :]) for stream in streams)
        ]
        if watched:
            self._loop.call_soon_threadsafe(self._offer, watched)

    def read_from(self, read: Callable[[str], Awaitable[StatusState]]) -> None:
        """Where the newest state of an order is: for orders that another replica has changed."""
        self._read = read

    def on_change_elsewhere(self, entities: Collection[str] | None) -> None:
        """Called when another replica has changed these entities, or with None any: what is watched is read again."""
        if self._loop is None:
            return
        streams = self._streams
        if entities is None:
            order_ids = {order_id for stream in streams for order_id in stream.subscriptions()}
        else:
            changed = [entity[len(_PREFIX) :] for entity in entities if entity.startswith(_PREFIX)]
            order_ids = {order_id for order_id in changed if any(stream.subscribed(order_id) for stream in streams)}
        if order_ids:
            self._loop.call_soon_threadsafe(self._note_stale, order_ids)

    def _note_stale(self, order_ids: Collection[str]) -> None:
        self._stale.update(order_ids)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_stale())

    async def _read_stale(self) -> None:
        while self._stale:
            order_id = self._stale.pop()
            try:
                state = await self._read(order_id)
            except TransientError:
                self._stale.add(order_id)
                await asyncio.sleep(READ_AGAIN_S)
                continue
            self._offer([(order_id, state)])

    def _offer(self, watched: Sequence[tuple[str, StatusState]]) -> None:
        for order_id, state in watched:
            for stream in self._streams:
                stream.offer(order_id, state)
