"""The outermost layer of every request: its trace, the limit on connections, its metrics and its line in the log.

`POST /order` goes from here straight to its handler, past the layers of FastAPI, which would cost as much again as all
the rest of the call (200 instead of 110 us of CPU an order).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import NamedTuple, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import logs, problems, trace
from gateway.metrics import Metrics
from gateway.problems import ProblemError
from gateway.protocols import CONNECTIONS
from gateway.trace import Span

logger = logging.getLogger(__name__)
access = logging.getLogger("gateway.access")

# What machines ask every few seconds.
_UNTRACED = frozenset({"/health", "/ready", "/metrics"})
_UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Target(NamedTuple):
    """What exactly is asked for, without parameters in the path."""

    method: str
    path: str


class Edge:
    def __init__(self, app: ASGIApp, direct: Mapping[Target, Handler], metrics: Metrics, max_connections: int) -> None:
        self.app = app
        self._direct = direct
        # Looked up once: there are as many as routes, methods and statuses.
        self._requests = cache(metrics.requests.labels)
        self._latency = cache(metrics.latency.labels)
        self._max_connections = max_connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
            return
        span = trace.begin(_traceparent(scope)) if scope["type"] == "websocket" else None
        try:
            await self.app(scope, receive, send)
        finally:
            if span is not None:
                route, path = _route(scope), scope["path"]
                span.end(f"GET {route}", {"http.request.method": "GET", "http.route": route, "url.path": path})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        span = trace.begin(_traceparent(scope), traced=scope["path"] not in _UNTRACED)
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if scope.get("extensions", {}).get(CONNECTIONS, 0) > self._max_connections:
                await _too_many_connections(scope, receive, observed)
            elif handler := self._direct.get(Target(scope["method"], scope["path"])):
                response = await _answer(handler, Request(scope, receive, send))
                await response(scope, receive, observed)
            else:
                await self.app(scope, receive, observed)
        finally:
            route = self._record(scope, status, time.perf_counter() - began)
            if span is not None:
                _end(span, scope, route, status)

    def _record(self, scope: Scope, status: int, seconds: float) -> str:
        """The route that it was."""
        method, path = scope["method"], scope["path"]
        direct = Target(method, path) in self._direct
        route = path if direct else _route(scope)
        self._requests(route, method if route != "unmatched" else "any", status).inc()
        self._latency(route).observe(seconds)
        level = logging.INFO if method in _UNSAFE_METHODS else logging.DEBUG
        if access.isEnabledFor(level):
            fields = {"method": method, "path": path, "status": status, "ms": round(seconds * 1000, 1)}
            if order_id := scope["state"].get("order_id"):
                fields["order_id"] = order_id
            logs.write(access, level, "answered", fields)
        return route


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


def _end(span: Span, scope: Scope, route: str, status: int) -> None:
    attributes: dict[str, str | int] = {
        "http.request.method": scope["method"],
        "http.route": route,
        "url.path": scope["path"],
        "http.response.status_code": status,
    }
    if order_id := scope["state"].get("order_id"):
        attributes["sagaproof.order_id"] = order_id
    span.end(f"{scope['method']} {route}", attributes, f"status {status}" if status >= 500 else "")


async def _answer(handler: Handler, request: Request) -> Response:
    """What FastAPI's layers would make of the handler's exceptions."""
    try:
        return await handler(request)
    except ProblemError as error:
        return error.response(request.scope)
    except HTTPException as error:
        return problems.plain_response(request.scope, error.status_code, error.detail, error.headers)
    except Exception:
        logger.exception("request failed")
        return problems.internal_error(request.scope)


async def _too_many_connections(scope: Scope, receive: Receive, send: Send) -> None:
    response = ProblemError(problems.OVERLOADED, "Too many connections are open.", retry_after_s=1).response(scope)
    response.headers["connection"] = "close"
    await response(scope, receive, send)


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return value.decode("latin-1")
    return None
