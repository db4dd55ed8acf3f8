"""What was sold, to whom and when: the read model of marketing."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field, TypeAdapter, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from shop.marketing.v1 import service_pb2 as marketing_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway import documents, openapi, paging, problems
from gateway.models import DailySales, LifetimeValue, Overview, Page, Popularity
from gateway.openapi import Case, failures
from gateway.paging import Cursor, CursorText, Limit
from gateway.problems import invalid
from gateway.state import gateway_of

router = APIRouter(prefix="/marketing", tags=["marketing"])

_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _is_day(text: str) -> str:
    if not _ISO_DAY.fullmatch(text):
        raise ValueError("must be a day such as 2026-01-31")
    date.fromisoformat(text)
    return text


_Day = Annotated[str, AfterValidator(_is_day), WithJsonSchema({"type": "string", "format": "date"})]
_Currency = Annotated[
    Annotated[str, Field(pattern="^[A-Z]{3}$")] | SkipJsonSchema[None],
    Query(description="ISO 4217; by default that of the catalogue's first product."),
]
_Bound = _Day | SkipJsonSchema[None]
_WRONG_CURRENCY = Case(problems.INVALID, "currency: is wrong", [("currency", "String should match pattern")])
_WRONG_CURSOR = Case(problems.INVALID, "cursor: is wrong", [("cursor", "is none that this list has given out")])

_MONEY = {"amountMinor": 2999, "currency": "USD"}
_OVERVIEW = {
    "completed": 1,
    "cancelled": 1,
    "cancelledByReason": {"OUT_OF_STOCK": 1},
    "customers": 1,
    "pieces": 1,
    "revenue": _MONEY,
    "refunded": {"amountMinor": 0, "currency": "USD"},
    "averageOrderValue": _MONEY,
    "currencies": ["USD"],
}
_VALUE = {"userId": "user-1", "orders": 1, "value": _MONEY}
_POPULARITY = {"productId": "product-1", "name": "Premium Widget", "pieces": 1, "orders": 1, "revenue": _MONEY}
_DAY = {
    "day": "2026-01-31",
    "orders": 1,
    "pieces": 1,
    "revenue": _MONEY,
    "refunded": {"amountMinor": 0, "currency": "USD"},
    "cancelled": 1,
}

_values = TypeAdapter(Page[LifetimeValue])
_products = TypeAdapter(list[Popularity])
_days = TypeAdapter(list[DailySales])


class _ValueCursor(Cursor, frozen=True, tag="ltv"):
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    amount_minor: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    user_id: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]


@router.get(
    "/overview",
    response_model=Overview,
    responses={200: {"content": {"application/json": {"example": _OVERVIEW}}}}
    | failures("/marketing/overview", _WRONG_CURRENCY, openapi.UNAVAILABLE),
)
async def get_overview(request: Request, currency: _Currency = None) -> Response:
    """Orders by outcome, customers and revenue, over all time. Orders that have not ended yet are in no figure."""
    asked = marketing_pb2.GetOverviewRequest(currency=currency or "")
    overview = documents.overview(await gateway_of(request).services.overview(asked))
    return Response(overview.model_dump_json(), media_type="application/json")


@router.get(
    "/ltv",
    response_model=Page[LifetimeValue],
    responses={200: {"content": {"application/json": {"example": {"items": [_VALUE], "nextCursor": None}}}}}
    | failures("/marketing/ltv", _WRONG_CURSOR, _WRONG_CURRENCY, openapi.UNAVAILABLE),
)
async def list_lifetime_values(
    request: Request, currency: _Currency = None, limit: Limit = paging.DEFAULT_LIMIT, cursor: CursorText = None
) -> Response:
    """For how much each customer has bought in all, best first, equal ones by user id."""
    asked = marketing_pb2.ListLifetimeValuesRequest(currency=currency or "", limit=limit)
    after = paging.decode(cursor, _ValueCursor)
    if after is not None:
        if currency not in (None, after.currency):
            raise invalid("cursor", f"is one of the list in {after.currency}")
        asked.currency = after.currency
        position = marketing_pb2.LifetimeValuePosition(amount_minor=after.amount_minor, user_id=after.user_id)
        asked.after.CopyFrom(position)
    found = await gateway_of(request).services.lifetime_values(asked)
    following = None
    if found.HasField("next"):
        last = found.values[-1].value.currency
        following = paging.encode(_ValueCursor(last, found.next.amount_minor, found.next.user_id))
    page = Page(items=[documents.lifetime_value(each) for each in found.values], next_cursor=following)
    return Response(_values.dump_json(page), media_type="application/json")


@router.get(
    "/popularity",
    response_model=list[Popularity],
    responses={200: {"content": {"application/json": {"example": [_POPULARITY]}}}}
    | failures("/marketing/popularity", _WRONG_CURRENCY, openapi.UNAVAILABLE),
)
async def list_popularity(
    request: Request, currency: _Currency = None, limit: Limit = paging.DEFAULT_LIMIT
) -> Response:
    """The products that are bought most, by pieces, best first."""
    asked = marketing_pb2.ListPopularityRequest(currency=currency or "", limit=limit)
    found = await gateway_of(request).services.popularity(asked)
    products = [documents.popularity(each) for each in found.products]
    return Response(_products.dump_json(products), media_type="application/json")


@router.get(
    "/daily-sales",
    response_model=list[DailySales],
    responses={200: {"content": {"application/json": {"example": [_DAY]}}}}
    | failures(
        "/marketing/daily-sales",
        Case(problems.INVALID, "from: is wrong", [("from", "must be a day such as 2026-01-31")]),
        openapi.UNAVAILABLE,
    ),
)
async def list_daily_sales(
    request: Request,
    currency: _Currency = None,
    first: Annotated[_Bound, Query(alias="from", description="The first day, in UTC.")] = None,
    last: Annotated[_Bound, Query(alias="to", description="The last day, included.")] = None,
) -> Response:
    """Day by day in UTC, the oldest first; a day on which no order ended and nothing was refunded is not there."""
    asked = marketing_pb2.ListDailySalesRequest(currency=currency or "", first_day=first or "", last_day=last or "")
    found = await gateway_of(request).services.daily_sales(asked)
    return Response(
        _days.dump_json([documents.daily_sales(each) for each in found.days]), media_type="application/json"
    )
