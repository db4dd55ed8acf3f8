"""Lists of orders, sagas and events; the saga table; the dashboard. All of them from the read model of status."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field, TypeAdapter, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from shop.status.v1 import lists_pb2, log_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway import events, openapi, orderids, paging, problems, views
from gateway.models import Page
from gateway.openapi import Case, failures
from gateway.paging import Cursor, CursorText, Limit
from gateway.problems import invalid
from gateway.state import gateway_of
from gateway.views import Dashboard, Event, OrderSummary, Saga, SagaTable

router = APIRouter()

_orders = TypeAdapter(Page[OrderSummary])
_sagas = TypeAdapter(Page[Saga])

Status = Literal[
    "OPEN",
    "ENDED",
    "PENDING",
    "AWAITING_PAYMENT",
    "AWAITING_SHIPMENT",
    "COMPENSATING",
    "COMPLETED",
    "CANCELLED",
]
Reason = Literal["OUT_OF_STOCK", "INSUFFICIENT_FUNDS", "SHIPMENT_FAILED", "CANCELLED_BY_CUSTOMER", "TIMED_OUT"]

_UserId = Annotated[
    Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")] | SkipJsonSchema[None],
    Query(alias="userId", description="Of this customer only."),
]
_Status = Annotated[
    Status | SkipJsonSchema[None], Query(description="In this status only; OPEN and ENDED stand for several.")
]
_Reason = Annotated[Reason | SkipJsonSchema[None], Query(description="Cancelled for this reason only.")]
OrderId = Annotated[
    Annotated[str, Field(json_schema_extra={"format": "uuid"})] | SkipJsonSchema[None],
    Query(alias="orderId", description="Of this order only."),
]
_TypeName = Annotated[
    str,
    AfterValidator(events.known_type),
    WithJsonSchema({"type": "string", "enum": list(events.SHORT_NAMES)}),
]
EventType = Annotated[
    _TypeName | SkipJsonSchema[None],
    Query(alias="type", description="Of this type only; by its full name too, such as shop.order.v1.OrderCreated."),
]

_WRONG_STATUS = Case(problems.INVALID, "status: is wrong", [("status", "Input should be 'OPEN', 'ENDED', ...")])
_WRONG_CURSOR = Case(problems.INVALID, "cursor: is wrong", [("cursor", "is none that this list has given out")])

_MONEY = {"amountMinor": 2999, "currency": "USD"}
_ORDER = {
    "orderId": openapi.EXAMPLE_ORDER_ID,
    "userId": "user-1",
    "status": "COMPLETED",
    "reason": None,
    "reasonDetail": None,
    "items": [{"productId": "product-1", "quantity": 1, "unitPrice": _MONEY}],
    "total": _MONEY,
    "delivery": "IN_TRANSIT",
    "createdAt": "2026-01-01T12:00:00.123Z",
    "updatedAt": "2026-01-01T12:00:02.181Z",
    "seq": 6,
}
_SAGA = {
    "orderId": openapi.EXAMPLE_ORDER_ID,
    "userId": "user-1",
    "status": "CANCELLED",
    "reason": "OUT_OF_STOCK",
    "reasonDetail": "product-1: 2 wanted, 1 available",
    "startedAt": "2026-01-01T12:00:00.123Z",
    "durationMs": 12.5,
    "steps": [
        {
            "type": "OrderCreated",
            "service": "order",
            "time": "2026-01-01T12:00:00.123Z",
            "sincePreviousMs": 0.0,
            "compensation": False,
            "detail": None,
        }
    ],
}
_TABLE = {
    "mode": "choreographed",
    "rows": [
        {
            "participant": "payment",
            "event": "InventoryConfirmed",
            "topic": "inventory",
            "command": "ChargePayment",
            "answers": ["PaymentCompleted", "PaymentFailed"],
            "commandTopic": None,
        }
    ],
    "topics": [{"name": "inventory", "partitions": 6}],
}
DASHBOARD_EXAMPLE = {
    "accepted": 3,
    "completed": 1,
    "cancelled": 1,
    "cancelledByReason": {"OUT_OF_STOCK": 1},
    "open": {"AWAITING_PAYMENT": 1},
    "openIsPartial": False,
    "revenue": [_MONEY],
    "latency": {"orders": 2, "p50Ms": 22.2, "p95Ms": 31.9, "p99Ms": 31.9},
    "minutes": [{"beginsAt": "2026-01-01T12:00:00Z", "accepted": 3, "completed": 1, "cancelled": 1}],
}
EVENT_EXAMPLE = {
    "id": "0198f0a2-7c1d-8e55-9d0b-3f1c2a5b6d7e",
    "type": "InventoryRejected",
    "fullType": "shop.inventory.v1.InventoryRejected",
    "time": "2026-01-01T12:00:00.123Z",
    "service": "inventory",
    "topic": "inventory",
    "key": openapi.EXAMPLE_ORDER_ID,
    "orderId": openapi.EXAMPLE_ORDER_ID,
    "causationId": "0198f0a2-7c1d-8a01-8d0b-3f1c2a5b6d7e",
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "data": {"order": {"orderId": openapi.EXAMPLE_ORDER_ID}, "detail": "product-1: 2 wanted, 1 available"},
}

_Position = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{12}$")]
_Uuid = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _OrderCursor(Cursor, frozen=True, tag="orders"):
    position: _Position
    order_id: _Uuid


class _EventCursor(Cursor, frozen=True, tag="events"):
    time_us: _Natural
    seq: _Natural


def _filter(user_id: str | None, status: str | None, reason: str | None) -> lists_pb2.OrderFilter:
    phases = {"OPEN": lists_pb2.PHASE_OPEN, "ENDED": lists_pb2.PHASE_ENDED}
    return lists_pb2.OrderFilter(
        user_id=user_id or "",
        phase=phases.get(status or ""),
        status=f"ORDER_STATUS_{status}" if status and status not in phases else None,
        reason=f"REASON_{reason}" if reason else None,
    )


def _place(cursor: str | None) -> lists_pb2.Place | None:
    after = paging.decode(cursor, _OrderCursor)
    return None if after is None else lists_pb2.Place(position=after.position, order_id=after.order_id)


def _following(found: lists_pb2.ListOrdersResponse | lists_pb2.ListSagasResponse) -> str | None:
    if not found.HasField("next"):
        return None
    return paging.encode(_OrderCursor(found.next.position, found.next.order_id))


@router.get(
    "/orders",
    response_model=Page[OrderSummary],
    tags=["orders"],
    responses={200: {"content": {"application/json": {"example": {"items": [_ORDER], "nextCursor": None}}}}}
    | failures("/orders", _WRONG_STATUS, _WRONG_CURSOR, openapi.UNAVAILABLE),
)
async def list_orders(
    request: Request,
    user_id: _UserId = None,
    status: _Status = None,
    reason: _Reason = None,
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Response:
    """Orders, the newest first. Where few of many match, a page has fewer than `limit`, and `nextCursor` goes on."""
    asked = lists_pb2.ListOrdersRequest(filter=_filter(user_id, status, reason), after=_place(cursor), limit=limit)
    found = await gateway_of(request).services.orders(asked)
    page = Page(items=[views.summary(order) for order in found.orders], next_cursor=_following(found))
    return Response(_orders.dump_json(page), media_type="application/json")


@router.get(
    "/sagas",
    response_model=Page[Saga],
    tags=["sagas"],
    responses={200: {"content": {"application/json": {"example": {"items": [_SAGA], "nextCursor": None}}}}}
    | failures("/sagas", _WRONG_STATUS, _WRONG_CURSOR, openapi.UNAVAILABLE),
)
async def list_sagas(
    request: Request,
    user_id: _UserId = None,
    status: _Status = None,
    reason: _Reason = None,
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Response:
    """The saga log: of each order what happened, step by step, and how long it took; the newest order first."""
    asked = lists_pb2.ListSagasRequest(filter=_filter(user_id, status, reason), after=_place(cursor), limit=limit)
    found = await gateway_of(request).services.sagas(asked)
    page = Page(items=[views.saga(each) for each in found.sagas], next_cursor=_following(found))
    return Response(_sagas.dump_json(page), media_type="application/json")


@router.get(
    "/saga",
    response_model=SagaTable,
    tags=["sagas"],
    responses={200: {"content": {"application/json": {"example": _TABLE}}}} | failures("/saga", openapi.UNAVAILABLE),
)
async def get_saga(request: Request) -> Response:
    """The saga as one table, its topics, and the mode in which this shop runs it."""
    table = views.saga_table(await gateway_of(request).services.saga_table())
    return Response(table.model_dump_json(), media_type="application/json")


@router.get(
    "/dashboard",
    response_model=Dashboard,
    tags=["dashboard"],
    responses={200: {"content": {"application/json": {"example": DASHBOARD_EXAMPLE}}}}
    | failures("/dashboard", openapi.UNAVAILABLE),
)
async def get_dashboard(request: Request) -> Response:
    """The shop in figures: orders by status and reason, the last minutes, how fast, for how much."""
    dashboard = views.dashboard(await gateway_of(request).services.dashboard())
    return Response(dashboard.model_dump_json(), media_type="application/json")


@router.get(
    "/events",
    response_model=Page[Event],
    tags=["events"],
    responses={200: {"content": {"application/json": {"example": {"items": [EVENT_EXAMPLE], "nextCursor": None}}}}}
    | failures(
        "/events",
        Case(problems.INVALID, "type: is wrong", [("type", "must be one of CancellationRefused, ...")]),
        Case(problems.INVALID, "orderId: is wrong", [("orderId", "must be a UUID")]),
        _WRONG_CURSOR,
        openapi.UNAVAILABLE,
    ),
)
async def list_events(
    request: Request,
    order_id: OrderId = None,
    type_name: EventType = None,
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Response:
    """Every public event. Of one order in the order of their times: its audit trail. Otherwise the newest first."""
    after = paging.decode(cursor, _EventCursor)
    asked = log_pb2.ListEventsRequest(
        filter=log_pb2.EventFilter(order_id=uuid_of(order_id), type=type_name or ""),
        after=None if after is None else log_pb2.EventPlace(time_us=after.time_us, seq=after.seq),
        limit=limit,
    )
    found = await gateway_of(request).services.events(asked)
    following = None
    if found.HasField("next"):
        following = paging.encode(_EventCursor(found.next.time_us, found.next.seq))
    page = {"items": [events.document(event) for event in found.events], "nextCursor": following}
    return Response(msgspec.json.encode(page), media_type="application/json")


def uuid_of(order_id: str | None) -> str:
    """The id in its one spelling, '' of None; 422 if it is none."""
    if order_id is None:
        return ""
    canonical = orderids.canonical(order_id)
    if canonical is None:
        raise invalid("orderId", "must be a UUID")
    return canonical
