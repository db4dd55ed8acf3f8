"""uvicorn's HTTP and WebSocket connections with the limits that uvicorn does not have.

- A head (request line and headers) that is too large is answered with 431, one that is not complete in time with 408.
- What comes of a body after its request was answered is dropped, and the connection with it once that is too much.
- `scope["extensions"]` has `gateway.abort`, which drops the connection at once, also when its client reads nothing, and
  for HTTP `gateway.connections`, the number of open connections.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from gateway.problems import MEDIA_TYPE, Problem

ABORT = "gateway.abort"
CONNECTIONS = "gateway.connections"

_MAX_DROPPED_BYTES = 16_777_216


def http_protocol(max_head_bytes: int, head_timeout_s: float) -> type[HttpToolsProtocol]:
    """The class of connections with these limits."""

    class LimitedHttpProtocol(HttpToolsProtocol):
        _in_head = True
        _head_bytes = 0
        # Counts heads and bodies that came to their end.
        _progress = 0
        _dropped_bytes = 0
        _head_timer: asyncio.TimerHandle | None = None
        _refusal = HTTPStatus.BAD_REQUEST

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._start_head_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_head_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            progress = self._progress
            super().data_received(data)
            if self._in_head and progress == self._progress and not self.transport.is_closing():
                self._head_bytes += len(data)
                if self._head_bytes > max_head_bytes:
                    self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                elif self._head_timer is None:
                    self._start_head_timer()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            extensions = {ABORT: self.transport.abort, CONNECTIONS: len(self.connections)}
            self.scope["extensions"] = cast(Any, extensions)

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._head_bytes = 0
            self._progress += 1
            self._stop_head_timer()
            if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > max_head_bytes:
                self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                raise ValueError("head too large")
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if self.cycle.response_complete:
                self._dropped_bytes += len(body)
                if self._dropped_bytes > _MAX_DROPPED_BYTES:
                    self.transport.abort()
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._in_head = True
            self._progress += 1
            super().on_message_complete()

        def send_400_response(self, msg: str) -> None:
            """uvicorn's answer to what is no HTTP, as a problem document."""
            status = self._refusal
            problem = Problem(
                type="about:blank", title=status.phrase, status=status, detail=status.description or msg, instance="/"
            )
            body = problem.model_dump_json(exclude_none=True).encode()
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
            self.transport.close()

        def _refuse(self, status: HTTPStatus) -> None:
            self._refusal = status
            self.send_400_response("")

        def _start_head_timer(self) -> None:
            self._head_timer = self.loop.call_later(head_timeout_s, self._head_timed_out)

        def _stop_head_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _head_timed_out(self) -> None:
            if self._head_bytes:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)
            else:
                self.transport.close()

    return LimitedHttpProtocol


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            scope = cast("dict[str, Any]", self.scope)
            scope["extensions"][ABORT] = self.transport.abort
