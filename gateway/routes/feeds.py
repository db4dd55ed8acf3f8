"""Live events and the live dashboard, as Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Header
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from shop.status.v1 import log_pb2
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway import openapi, problems
from gateway.feeds import EventClient, FeedClosedError, TooManyClientsError, Wanted
from gateway.openapi import Case, failures
from gateway.problems import ProblemError
from gateway.routes.listing import DASHBOARD_EXAMPLE, EVENT_EXAMPLE, EventType, OrderId, uuid_of
from gateway.sse import EventStream
from gateway.state import Gateway, gateway_of

router = APIRouter()

PAST_MAX = 2_000
"""Events that a client who comes back is given of what it has missed."""
_PAST_AT_ONCE = 500

_Cursor = Annotated[int, Field(ge=0, lt=2**63)]
_T = TypeVar("_T")

_TOO_MANY = Case(problems.OVERLOADED, "Too many clients follow; try again later.")
_EVENTS_EXAMPLE = (
    f'retry: 1000\n\nid: 17\ndata: {json.dumps(EVENT_EXAMPLE)}\n\nevent: skipped\ndata: {{"events": 3}}\n\n'
)


@router.get(
    "/events/stream",
    tags=["events"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "An event of the event log each, or how many (about) were skipped: the client was slow, or "
            "more come in than are shown live. `/events` has all.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EVENTS_EXAMPLE}},
        }
    }
    | failures(
        "/events/stream",
        Case(problems.INVALID, "orderId: is wrong", [("orderId", "must be a UUID")]),
        _TOO_MANY,
        openapi.UNAVAILABLE,
    ),
)
async def follow_events(
    request: Request,
    order_id: OrderId = None,
    type_name: EventType = None,
    last_event_id: Annotated[
        _Cursor | SkipJsonSchema[None],
        Header(alias="Last-Event-ID", description="Goes on behind it; an event may come again, none is missed."),
    ] = None,
) -> Response:
    """Events as they are stored, from now on."""
    gateway = gateway_of(request)
    wanted = Wanted(uuid_of(order_id), type_name or "")
    client = _joined(lambda: gateway.events.join(wanted))
    if last_event_id is not None:
        try:
            await _catch_up(gateway, client, wanted, last_event_id)
        except BaseException:
            client.close()
            raise
    return EventStream(client, gateway)


async def _catch_up(gateway: Gateway, client: EventClient, wanted: Wanted, since: int) -> None:
    """Gives a client that has joined what was stored behind `since`, or the newest PAST_MAX of it."""
    try:
        async with asyncio.timeout(gateway.settings.first_answer_s):
            cursor = await gateway.events.cursor()
    except TimeoutError:
        detail = "The status service does not answer."
        raise ProblemError(problems.UNAVAILABLE, detail, retry_after_s=1) from None
    # Of one order all, since it has few; else the newest first, so that what is too much is the oldest.
    asked = log_pb2.ListEventsRequest(
        filter=log_pb2.EventFilter(order_id=wanted.order_id, type=wanted.type), limit=_PAST_AT_ONCE
    )
    past: dict[str, log_pb2.LoggedEvent] = {}
    skipped = 0
    while True:
        found = await gateway.services.events(asked)
        new = [event for event in found.events if event.seq > since]
        past |= {event.id: event for event in new}
        if not found.HasField("next") or (not wanted.order_id and len(new) < len(found.events)):
            break
        if len(past) >= PAST_MAX:
            skipped = max(0, min(event.seq for event in past.values()) - since - 1)
            break
        asked.after.CopyFrom(found.next)
    client.begin_with(sorted(past.values(), key=lambda event: event.seq), skipped, cursor)


@router.get(
    "/dashboard/stream",
    tags=["dashboard"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The document of `/dashboard`, now and when it has changed, at most once a second.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": f"retry: 1000\n\ndata: {json.dumps(DASHBOARD_EXAMPLE)}\n\n",
                }
            },
        }
    }
    | failures("/dashboard/stream", _TOO_MANY),
)
async def follow_dashboard(request: Request) -> Response:
    """The shop in figures, live."""
    gateway = gateway_of(request)
    return EventStream(_joined(gateway.dashboard.join), gateway)


def _joined(join: Callable[[], _T]) -> _T:
    try:
        return join()
    except (TooManyClientsError, FeedClosedError):
        raise ProblemError(problems.OVERLOADED, _TOO_MANY.detail, retry_after_s=1) from None
