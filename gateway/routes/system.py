"""For operators: health, readiness, metrics; and the documentation, served without any third party."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import APIRouter
from grpc import aio
from grpc_health.v1 import health_pb2
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from gateway import problems
from gateway.backends import Backend
from gateway.openapi import Case, failures
from gateway.problems import ProblemError
from gateway.state import gateway_of

router = APIRouter()

_READINESS = health_pb2.HealthCheckRequest(service="readiness")


class Health(BaseModel):
    status: str


class Ready(Health):
    services: dict[str, str]


@router.get(
    "/health", tags=["system"], responses={200: {"content": {"application/json": {"example": {"status": "ok"}}}}}
)
async def health() -> Health:
    """The process lives and its event loop turns; says nothing of the services."""
    return Health(status="ok")


@router.get(
    "/ready",
    tags=["system"],
    responses={
        200: {"content": {"application/json": {"example": {"status": "ready", "services": {"order": "SERVING"}}}}}
    }
    | failures("/ready", Case(problems.NOT_READY, "Not ready: order is UNAVAILABLE.")),
)
async def ready(request: Request) -> Ready:
    """The services that orders need are ready."""
    gateway = gateway_of(request)
    backends = gateway.services.needed
    answers = await asyncio.gather(*(_readiness(each, gateway.settings.read_attempt_s) for each in backends))
    services = {backend.name: answer for backend, answer in zip(backends, answers, strict=True)}
    missing = [f"{name} is {answer}" for name, answer in services.items() if answer != "SERVING"]
    if missing:
        detail = f"Not ready: {', '.join(missing)}."
        raise ProblemError(problems.NOT_READY, detail, services=services, retry_after_s=1)
    return Ready(status="ready", services=services)


async def _readiness(backend: Backend, timeout_s: float) -> str:
    check: aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
    check = backend.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer = await check(_READINESS, timeout=timeout_s)
    except aio.AioRpcError as error:
        return error.code().name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


@router.get(
    "/metrics",
    tags=["system"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(generate_latest(gateway_of(request).metrics.registry), media_type=CONTENT_TYPE_LATEST)


# The assets of Swagger UI that the package fastapi-offline carries.
docs_assets = StaticFiles(packages=[("fastapi_offline", "static")])

# Nothing from elsewhere, no inline script; Swagger UI does set inline styles.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sagaproof gateway</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="/docs/assets/favicon.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_DOCS_SCRIPT = """SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", validatorUrl: null });
"""


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    return HTMLResponse(_DOCS_PAGE, headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY})


@router.get("/docs/start.js", include_in_schema=False)
async def docs_script() -> Response:
    return Response(_DOCS_SCRIPT, HTTPStatus.OK, media_type="text/javascript")
