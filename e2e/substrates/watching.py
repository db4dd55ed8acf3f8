"""Customers who watch their orders on WebSockets, and note down what they are shown."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, WebSocketException

from e2e.history import Observed

AGAIN_AFTER_S = 0.2
"""A watch that was cut off comes back after so long, and asks for what is newer than it has seen."""
ENDS_WITHIN_S = 10.0


class _Shown(msgspec.Struct, rename="camel"):
    seq: int
    status: str
    reason: str | None = None


class Watches:
    """All of them, on a thread of their own. Each lasts until the parcel is delivered or the order is cancelled."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("http", "ws", 1)
        self._seen: list[Observed] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="watches", daemon=True)
        self._thread.start()

    def begin(self, order_id: str) -> None:
        """A customer watches this order from now on."""
        self._loop.call_soon_threadsafe(self._begin, order_id)

    @property
    def open(self) -> int:
        """How many have not ended."""
        return len(self._tasks)

    def seen(self) -> list[Observed]:
        """So far."""
        return list(self._seen)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ENDS_WITHIN_S)

    def _begin(self, order_id: str) -> None:
        task = self._loop.create_task(self._watch(order_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, order_id: str) -> None:
        since = 0
        while True:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(f"{self._url}/ws/{order_id}?since={since}", proxy=None) as socket:
                    with suppress(ConnectionClosedOK):
                        while True:
                            since = self._note(order_id, await socket.recv())
                    return
            await asyncio.sleep(AGAIN_AFTER_S)  # before it tries again

    def _note(self, order_id: str, message: str | bytes) -> int:
        shown = msgspec.json.decode(message, type=_Shown)
        now_us = time.time_ns() // 1000
        self._seen.append(Observed(order_id, f"{order_id}/1", shown.seq, shown.status, shown.reason or "", now_us))
        return shown.seq
