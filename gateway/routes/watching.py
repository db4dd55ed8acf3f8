"""Watching an order, by WebSocket and by Server-Sent Events."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header, Query
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway import openapi, orderids, problems
from gateway.clients import CutOffError, Outlet, when_gone
from gateway.openapi import Case, failures
from gateway.problems import ProblemError
from gateway.routes.orders import known_form
from gateway.sse import EventStream
from gateway.state import Gateway, gateway_of
from gateway.watchers import HubClosedError, TooManyWatchersError, UnknownOrderError, Watcher

router = APIRouter()

_Seq = Annotated[int, Field(ge=0, lt=10**9)]
# Below the seq of every document, that of a bare acceptance (0) too.
_EVERYTHING = -1


class _Close(NamedTuple):
    code: int
    reason: str


_OVER = _Close(1000, "")
_RESTART = _Close(1012, "the gateway restarts, connect again")
_TRY_LATER = _Close(1013, "too many watchers, try again later")
_UNKNOWN = _Close(4404, "unknown order")
_INVALID = _Close(4422, "since must be an integer of at least 0")


@router.websocket("/ws/{orderId}")
async def watch_by_websocket(websocket: WebSocket) -> None:
    gateway = gateway_of(websocket)
    outlet = Outlet(websocket.scope, gateway.metrics, gateway.settings.slow_client_s)
    try:
        await websocket.accept()
        close = await _follow(websocket, gateway, outlet)
        await outlet.send(websocket.close(*close))
    except (WebSocketDisconnect, CutOffError):
        pass


async def _follow(websocket: WebSocket, gateway: Gateway, outlet: Outlet) -> _Close:
    """Sends documents until there is a reason to close. Raises WebSocketDisconnect once the client has gone."""
    order_id = orderids.canonical(websocket.path_params["orderId"])
    if order_id is None:
        return _UNKNOWN
    since = websocket.query_params.get("since")
    if since is not None and not (since.isascii() and since.isdecimal() and len(since) < 10):
        return _INVALID
    try:
        watcher = gateway.hub.watch(order_id, _EVERYTHING if since is None else int(since))
    except TooManyWatchersError:
        return _TRY_LATER
    except HubClosedError:
        return _RESTART
    with watcher:
        gone = when_gone(websocket.receive, watcher.close)
        try:
            async for snapshot in watcher:
                await outlet.send(websocket.send_text(snapshot.json))
        except UnknownOrderError:
            return _UNKNOWN
        except HubClosedError:
            return _RESTART
        finally:
            gone.cancel()
        if watcher.left:
            raise WebSocketDisconnect
    return _OVER


_STREAM_EXAMPLE = 'retry: 1000\n\nid: 1\ndata: {"orderId": "...", "status": "PENDING", "seq": 1}\n\n'


@router.get(
    "/status/{orderId}/stream",
    tags=["orders"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The same documents as by WebSocket; an event's id is the document's seq.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}},
        },
        204: {"description": "The client has the last document already; it should not connect again."},
    }
    | failures(
        "/status/{orderId}/stream",
        openapi.UNKNOWN_ORDER,
        Case(problems.INVALID, "since: is wrong", [("since", "input should be a valid integer")]),
        Case(problems.OVERLOADED, "Too many watchers; try again later."),
    ),
)
async def watch_by_events(
    orderId: str,  # noqa: N803 - the name in the interface
    request: Request,
    since: Annotated[_Seq | SkipJsonSchema[None], Query(description="Nothing until seq is higher.")] = None,
    last_event_id: Annotated[
        _Seq | SkipJsonSchema[None], Header(alias="Last-Event-ID", description="Like `since`, and before it.")
    ] = None,
) -> Response:
    """The status document now and at each change, until the order is delivered or cancelled."""
    gateway = gateway_of(request)
    seen = last_event_id if last_event_id is not None else since
    try:
        watcher = gateway.hub.watch(known_form(orderId), _EVERYTHING if seen is None else seen)
    except (TooManyWatchersError, HubClosedError):
        raise ProblemError(problems.OVERLOADED, "Too many watchers; try again later.", retry_after_s=1) from None
    try:
        async with asyncio.timeout(gateway.settings.first_answer_s):
            await watcher.known()
    except TimeoutError:
        pass  # status is away: begin the stream, and go on once it is back
    except UnknownOrderError:
        watcher.close()
        raise ProblemError(problems.UNKNOWN_ORDER, f"Order {orderId} was never accepted.") from None
    except BaseException:
        watcher.close()
        raise
    if watcher.is_over:
        watcher.close()
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return EventStream(_Documents(watcher), gateway)


class _Documents:
    """The documents of one watcher as Server-Sent Events."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.close = watcher.close

    async def next(self) -> str | None:
        try:
            snapshot = await anext(self._watcher)
        except (StopAsyncIteration, UnknownOrderError, HubClosedError):
            return None
        return f"id: {snapshot.seq}\ndata: {snapshot.json}\n\n"
