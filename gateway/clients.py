"""The sending side of a watching client, with a bound on how long it may block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import Message, Receive, Scope

from gateway.metrics import Metrics
from gateway.protocols import ABORT


class CutOffError(Exception):
    """The client did not read for too long; its connection has been dropped."""


class Outlet:
    """Sends to one client; a send that blocks longer than `limit_s` drops the connection and raises CutOffError."""

    def __init__(self, scope: Scope, metrics: Metrics, limit_s: float) -> None:
        self._abort: Callable[[], None] = scope["extensions"][ABORT]
        self._metrics = metrics
        self._limit_s = limit_s

    async def send(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._limit_s):
                await sending
        except TimeoutError:
            self._metrics.cut_off.inc()
            self._abort()
            raise CutOffError from None


def when_gone(receive: Receive, then: Callable[[], None]) -> asyncio.Task[None]:
    """A task that drops what the client sends and calls `then` once it has gone; to be cancelled when done with."""

    async def until_gone() -> None:
        message: Message = {"type": ""}
        while not message["type"].endswith(".disconnect"):
            message = await receive()

    task = asyncio.get_running_loop().create_task(until_gone())
    task.add_done_callback(lambda _: then())
    return task
