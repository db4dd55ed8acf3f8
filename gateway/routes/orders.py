"""Placing and cancelling orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.routing import APIRoute
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from gateway import openapi, orderids, problems
from gateway.bodies import read_json
from gateway.edge import Target
from gateway.models import OrderAnswer, OrderRequest
from gateway.openapi import EXAMPLE_ORDER_ID, Case, failures
from gateway.problems import ProblemError, invalid
from gateway.state import gateway_of

router = APIRouter()

# Printable ASCII, with spaces only inside: HTTP takes away those around a value.
_KEY_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"
_KEY = re.compile(_KEY_PATTERN)
_ACCEPTED = {
    202: {
        "description": "Accepted.",
        "content": {"application/json": {"example": {"orderId": EXAMPLE_ORDER_ID, "status": "PENDING"}}},
    }
}


class _StrictRoute(APIRoute):
    """Documented as FastAPI does, but with the body read by `bodies`, which is stricter."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            settings = gateway_of(request).settings
            order = await read_json(request, OrderRequest, settings.max_body_bytes, settings.body_timeout_s)
            return await self.endpoint(order, request, _idempotency_key(request))

        return handle


async def place_order(
    order: OrderRequest,
    request: Request,
    idempotency_key: Annotated[
        Annotated[str, Field(pattern=_KEY_PATTERN)] | SkipJsonSchema[None],
        Header(
            alias="Idempotency-Key",
            description="Scoped to the user. The same key and body is the same order; another body is refused.",
        ),
    ] = None,
) -> Response:
    """Places an order and answers as soon as it is durably accepted; how it ends is told by /status.

    A 503 with an `orderId` means that the order may exist. Repeating the request with the same Idempotency-Key is safe.
    """
    order_id = orderids.mint(order.user_id, idempotency_key)
    request.state.order_id = order_id
    answer = await gateway_of(request).services.place(order_id, order)
    headers = {"Location": f"/status/{answer.order_id}"}
    return Response(answer.model_dump_json(), HTTPStatus.ACCEPTED, headers, "application/json")


def _idempotency_key(request: Request) -> str | None:
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.match(keys[0]):
        raise invalid("Idempotency-Key", "must be given once, with 1 to 255 printable ASCII characters")
    return keys[0]


_place_order = _StrictRoute(
    "/order",
    place_order,
    methods=["POST"],
    status_code=HTTPStatus.ACCEPTED,
    response_model=OrderAnswer,
    tags=["orders"],
    responses=_ACCEPTED
    | failures(
        "/order",
        Case(
            problems.INVALID, "items[0].quantity: is wrong", [("items[0].quantity", "input should be a valid integer")]
        ),
        Case(
            problems.KEY_REUSED,
            "Idempotency-Key was used before.",
            [("Idempotency-Key", "was used before")],
            EXAMPLE_ORDER_ID,
        ),
        Case(problems.OUTCOME_UNKNOWN, "The order service gave no answer in time.", (), EXAMPLE_ORDER_ID),
        Case(problems.TOO_SLOW, "The body was not complete after 10 s."),
        openapi.UNAVAILABLE,
        openapi.plain(HTTPStatus.BAD_REQUEST, "The body is incomplete."),
        openapi.plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "A body may have 262144 bytes."),
        openapi.plain(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON with the header Content-Type: application/json."),
    ),
)
router.routes.append(_place_order)

direct = {Target("POST", "/order"): _place_order.get_route_handler()}
"""The calls that are served without FastAPI's layers."""


@router.post(
    "/order/{orderId}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    response_model=OrderAnswer,
    tags=["orders"],
    responses=_ACCEPTED
    | failures(
        "/order/{orderId}/cancel",
        openapi.UNKNOWN_ORDER,
        Case(problems.ORDER_ENDED, "The order is COMPLETED.", (), EXAMPLE_ORDER_ID),
        openapi.UNAVAILABLE,
    ),
)
async def cancel_order(orderId: str, request: Request) -> Response:  # noqa: N803 - the name in the interface
    """Asks for cancellation. It is a race with shipping: an order that is still COMPLETED has won it.

    Asking again changes nothing and is answered the same.
    """
    request.state.order_id = order_id = known_form(orderId)
    answer = await gateway_of(request).services.cancel(order_id)
    headers = {"Location": f"/status/{order_id}"}
    return Response(answer.model_dump_json(), HTTPStatus.ACCEPTED, headers, "application/json")


def known_form(order_id: str) -> str:
    """The id in its one spelling; 404 if no order can have it: such an order was never accepted."""
    canonical = orderids.canonical(order_id)
    if canonical is None:
        raise ProblemError(problems.UNKNOWN_ORDER, "The order id is no UUID, so there is no such order.")
    return canonical
