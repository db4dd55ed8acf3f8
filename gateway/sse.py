"""Server-Sent Events: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
from typing import Protocol

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.clients import CutOffError, Outlet, when_gone
from gateway.state import Gateway


class Source(Protocol):
    """What one client is sent."""

    async def next(self) -> str | None:
        """The next event as its lines; None at the end, and after `close`. Cancelling a wait loses nothing."""
        ...

    def close(self) -> None:
        """May be called again."""
        ...


class EventStream(StreamingResponse):
    """Sends what the source gives, until its end or until the client has gone; then it closes the source."""

    def __init__(self, source: Source, gateway: Gateway) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__((), headers=headers, media_type="text/event-stream")
        self._source = source
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outlet = Outlet(scope, self._gateway.metrics, self._gateway.settings.slow_client_s)

        async def chunk(text: str, more: bool = True) -> None:
            await outlet.send(send({"type": "http.response.body", "body": text.encode(), "more_body": more}))

        gone = when_gone(receive, self._source.close)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await chunk("retry: 1000\n\n")
            while (text := await self._next()) is not None:
                await chunk(text)
            await chunk("", more=False)
        except CutOffError:
            pass
        finally:
            gone.cancel()
            self._source.close()

    async def _next(self) -> str | None:
        """The next event, or a comment that keeps the connection alive; None at the end."""
        try:
            async with asyncio.timeout(self._gateway.settings.keepalive_s):
                return await self._source.next()
        except TimeoutError:
            return ": still here\n\n"
