"""Reading orders and products."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from gateway import openapi, problems
from gateway.models import Product, StatusDocument
from gateway.openapi import Case, failures
from gateway.routes.orders import known_form
from gateway.state import gateway_of

router = APIRouter()

_products = TypeAdapter(list[Product])

_MONEY = {"amountMinor": 2999, "currency": "USD"}
_PRODUCT = {"productId": "product-1", "name": "Premium Widget", "price": _MONEY, "available": 99, "reserved": 1}
STATUS_EXAMPLE = {
    "orderId": openapi.EXAMPLE_ORDER_ID,
    "userId": "user-1",
    "status": "COMPLETED",
    "reason": None,
    "reasonDetail": None,
    "items": [{"productId": "product-1", "quantity": 1, "unitPrice": _MONEY}],
    "total": _MONEY,
    "payment": {"status": "COMPLETED", "amount": _MONEY, "refunded": None},
    "delivery": {"status": "IN_TRANSIT", "trackingNumber": "TRK-1", "address": "1 Main Street"},
    "timeline": [{"type": "OrderCreated", "time": "2026-01-01T12:00:00.123Z", "service": "order", "detail": None}],
    "seq": 5,
}


@router.get(
    "/status/{orderId}",
    response_model=StatusDocument,
    tags=["orders"],
    responses={200: {"content": {"application/json": {"example": STATUS_EXAMPLE}}}}
    | failures("/status/{orderId}", openapi.UNKNOWN_ORDER, openapi.UNAVAILABLE),
)
async def get_status(orderId: str, request: Request) -> Response:  # noqa: N803 - the name in the interface
    """Where an order is. An order that was accepted is never a 404: until its first event is seen it is PENDING, seq 0.

    An id that is no UUID is a 404 too.
    """
    newest = await gateway_of(request).services.status_of(known_form(orderId))
    return Response(newest.json, media_type="application/json")


@router.get(
    "/products",
    response_model=list[Product],
    tags=["products"],
    responses={200: {"content": {"application/json": {"example": [_PRODUCT]}}}}
    | failures(
        "/products",
        Case(problems.INVALID, "inStock: is wrong", [("inStock", "input should be 'true' or 'false'")]),
        openapi.UNAVAILABLE,
    ),
)
async def list_products(
    request: Request,
    text: Annotated[str, Query(max_length=100, description="Words that its id or name has, whatever their case.")] = "",
    in_stock: Annotated[
        Literal["true", "false"],
        Query(alias="inStock", description="`true`: only products of which there is something to sell."),
    ] = "false",
) -> Response:
    """The products with their stock, in the catalogue's order."""
    products = await gateway_of(request).services.products(text, in_stock=in_stock == "true")
    return Response(_products.dump_json(products), media_type="application/json")


@router.get(
    "/products/{productId}",
    response_model=Product,
    tags=["products"],
    responses={200: {"content": {"application/json": {"example": _PRODUCT}}}}
    | failures(
        "/products/{productId}",
        Case(problems.UNKNOWN_PRODUCT, "Product product-9 is not known."),
        Case(problems.INVALID, "product_id: is wrong", [("productId", "does not match the pattern")]),
        openapi.UNAVAILABLE,
    ),
)
async def get_product(
    productId: Annotated[str, Path(pattern="^[A-Za-z0-9._-]{1,64}$")],  # noqa: N803 - the name in the interface
    request: Request,
) -> Response:
    """One product with its stock."""
    product = await gateway_of(request).services.product(productId)
    return Response(product.model_dump_json(), media_type="application/json")
