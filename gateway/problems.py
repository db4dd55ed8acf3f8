"""Errors as RFC 9457 problem documents, the only shape in which the gateway reports one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import Response
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"
_MAX_INSTANCE_CHARS = 300


class FieldError(BaseModel):
    """One field at fault, as a JSON path such as `items[0].quantity`, or the name of a header or parameter."""

    field: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    type: str = Field(description="Which kind of problem this is; `about:blank` where the status says it all.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str = Field(description="The path that was asked for.")
    errors: list[FieldError] | None = Field(default=None, description="The fields at fault.")
    order_id: str | None = Field(default=None, description="The order that this is about; it may exist.")
    services: dict[str, str] | None = Field(default=None, description="With /ready: the state of each service.")


class Kind(NamedTuple):
    """A kind of problem; clients may tell kinds apart by `type`."""

    type: str
    title: str
    status: HTTPStatus


def _kind(name: str, title: str, status: HTTPStatus) -> Kind:
    return Kind(f"urn:sagaproof:problem:{name}", title, status)


INVALID = _kind("invalid-request", "The request is not valid", HTTPStatus.UNPROCESSABLE_ENTITY)
KEY_REUSED = _kind("idempotency-key-reused", "The key was used for another order", HTTPStatus.UNPROCESSABLE_ENTITY)
UNKNOWN_ORDER = _kind("unknown-order", "There is no such order", HTTPStatus.NOT_FOUND)
UNKNOWN_PRODUCT = _kind("unknown-product", "There is no such product", HTTPStatus.NOT_FOUND)
ORDER_ENDED = _kind("order-ended", "The order has ended", HTTPStatus.CONFLICT)
REFUSED = _kind("refused", "The service refused", HTTPStatus.CONFLICT)
UNKNOWN_THING = _kind("unknown-thing", "There is no such thing", HTTPStatus.NOT_FOUND)
FORBIDDEN = _kind("forbidden", "That is not allowed", HTTPStatus.FORBIDDEN)
OVERLOADED = _kind("overloaded", "Too much at once", HTTPStatus.SERVICE_UNAVAILABLE)
UNAVAILABLE = _kind("service-unavailable", "A service does not answer", HTTPStatus.SERVICE_UNAVAILABLE)
OUTCOME_UNKNOWN = _kind("outcome-unknown", "The order may have been accepted", HTTPStatus.SERVICE_UNAVAILABLE)
NOT_READY = _kind("not-ready", "Not all services are ready", HTTPStatus.SERVICE_UNAVAILABLE)
TOO_SLOW = _kind("request-timeout", "The body came too slowly", HTTPStatus.REQUEST_TIMEOUT)


class ProblemError(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        order_id: str | None = None,
        services: Mapping[str, str] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = list(errors) or None
        self.order_id = order_id
        self.services = dict(services) if services else None
        self.retry_after_s = retry_after_s

    def response(self, scope: Scope) -> Response:
        problem = Problem(
            type=self.kind.type,
            title=self.kind.title,
            status=self.kind.status,
            detail=self.detail,
            instance=_instance(scope),
            errors=self.errors,
            order_id=self.order_id,
            services=self.services,
        )
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return _response(problem, headers)


def invalid(field: str, message: str) -> ProblemError:
    """422 for one field."""
    return ProblemError(INVALID, f"{field}: {message}", errors=[FieldError(field=field, message=message)])


def plain_response(scope: Scope, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A problem that the HTTP status alone describes."""
    phrase = HTTPStatus(status).phrase
    problem = Problem(type="about:blank", title=phrase, status=status, detail=detail, instance=_instance(scope))
    return _response(problem, headers or {})


def internal_error(scope: Scope) -> Response:
    """500; whoever answers with it has logged the exception."""
    return plain_response(scope, HTTPStatus.INTERNAL_SERVER_ERROR, "The gateway failed; its log says why.")


def _response(problem: Problem, headers: Mapping[str, str]) -> Response:
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, problem.status, headers=dict(headers), media_type=MEDIA_TYPE)


def _instance(scope: Scope) -> str:
    return quote(scope.get("path", "/").encode("utf-8", "replace"))[:_MAX_INSTANCE_CHARS]
