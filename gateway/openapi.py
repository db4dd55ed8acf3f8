"""What FastAPI cannot know for the OpenAPI document: problem documents, with an example of each."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway import problems
from gateway.problems import MEDIA_TYPE, Kind, Problem

EXAMPLE_ORDER_ID = "0198f0a2-7c1d-7e55-9d0b-3f1c2a5b6d7e"
_DESCRIPTION = """REST, WebSocket and Server-Sent Events for the order sagas.

Watch an order on `ws://.../ws/{orderId}`: the document of `GET /status/{orderId}` now and at each change; with
`?since=SEQ` nothing until its seq is higher. Close codes: 1000 after the last document, 4404 unknown order, 4422 bad
`since`, 1012 the gateway restarts, 1013 too many watchers.
"""


class Case(NamedTuple):
    """One way in which a call can fail, as its documentation shows it."""

    kind: Kind
    detail: str
    errors: Sequence[tuple[str, str]] = ()
    order_id: str | None = None


def plain(status: HTTPStatus, detail: str) -> Case:
    return Case(Kind("about:blank", status.phrase, status), detail)


UNKNOWN_ORDER = Case(problems.UNKNOWN_ORDER, f"Order {EXAMPLE_ORDER_ID} was never accepted.")
UNAVAILABLE = Case(problems.UNAVAILABLE, "order does not answer: UNAVAILABLE: connection refused")
OVERLOADED = Case(problems.OVERLOADED, "Too many connections are open.")
INTERNAL = plain(HTTPStatus.INTERNAL_SERVER_ERROR, "The gateway failed; its log says why.")


def failures(instance: str, *cases: Case) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for these cases, and for those that every call has."""
    documented: dict[int | str, dict[str, Any]] = {}
    for case in (*cases, OVERLOADED, INTERNAL):
        example: dict[str, Any] = {
            "type": case.kind.type,
            "title": case.kind.title,
            "status": int(case.kind.status),
            "detail": case.detail,
            "instance": instance,
        }
        if case.errors:
            example["errors"] = [{"field": field, "message": message} for field, message in case.errors]
        if case.order_id:
            example["orderId"] = case.order_id
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
        response = documented.setdefault(
            int(case.kind.status), {"description": case.kind.status.phrase, "content": {MEDIA_TYPE: content}}
        )
        if case.kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
            response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
        response["content"][MEDIA_TYPE]["examples"][case.kind.type.rpartition(":")[2]] = {"value": example}
    return documented


def install(app: FastAPI) -> None:
    """Makes `app.openapi()` include the schema of problems."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            components |= problem.pop("$defs")
            components["Problem"] = problem
            _remove_fastapis_own_422(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi


def _remove_fastapis_own_422(schema: dict[str, Any]) -> None:
    """FastAPI documents its own kind of 422 for every call with a parameter; ours are documented where they can be."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(unused, None)
