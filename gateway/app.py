"""The gateway as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway import console, openapi, problems, trace
from gateway.console_desk import Desk
from gateway.edge import Edge
from gateway.feeds import DashboardFeed, EventFeed
from gateway.hub import Hub
from gateway.metrics import Metrics
from gateway.problems import FieldError, ProblemError
from gateway.routes import admin, feeds, listing, marketing, orders, reads, system, watching
from gateway.services import Services
from gateway.settings import Settings
from gateway.state import Gateway

if TYPE_CHECKING:
    from gateway.spans import Spans

# FastAPI's own: `Edge` does it for all requests, those past FastAPI's layers too.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}

logger = logging.getLogger(__name__)


def create_app(settings: Settings) -> Edge:
    """Its lifespan state has the `gateway` (a state.Gateway)."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Gateway]]:
        services = Services(settings, metrics)
        hub = Hub(
            services.statuses,
            services.pending,
            metrics,
            max_watchers=settings.max_watchers,
            max_watchers_per_order=settings.max_watchers_per_order,
        )
        events = EventFeed(services.statuses, metrics, settings.max_followers)
        dashboard = DashboardFeed(services.statuses, metrics, settings.max_followers)
        desk = Desk(settings, metrics) if settings.console_admin else None
        spans = _spans(settings, metrics)
        trace.switch_on(spans)
        stream = asyncio.get_running_loop().create_task(hub.run())
        stream.add_done_callback(_must_not_fail)
        try:
            yield {"gateway": Gateway(settings, metrics, services, hub, events, dashboard, desk)}
        finally:
            stream.cancel()
            await asyncio.wait([stream])
            await services.close()
            if desk is not None:
                await desk.close()
            if spans is not None:
                trace.switch_on(None)
                await asyncio.to_thread(spans.close)

    app = FastAPI(
        title="sagaproof gateway",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    for module in (orders, reads, watching, listing, feeds, marketing, system):
        app.include_router(module.router)
    if settings.console_admin:
        app.include_router(admin.router)
    app.include_router(console.router(settings.console_dist))
    app.mount("/docs/assets", system.docs_assets)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(Exception, _internal_error)
    openapi.install(app)
    return Edge(app, orders.direct, metrics, settings.max_connections)


def _spans(settings: Settings, metrics: Metrics) -> Spans | None:
    if settings.traces is None:
        return None
    from gateway import spans  # noqa: PLC0415 0.2 s and 4 MB, for those who have switched it on

    return spans.start(settings.traces, settings.otel_bsp_max_queue_size, metrics.spans)


def _must_not_fail(stream: asyncio.Task[None]) -> None:
    """Without its watch stream a gateway is of no use: it stops, so that whoever supervises it starts another."""
    if not stream.cancelled() and (error := stream.exception()):
        logger.critical("the watch stream failed, stopping", exc_info=error)
        signal.raise_signal(signal.SIGTERM)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response(request.scope)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problems.plain_response(request.scope, error.status_code, error.detail, error.headers)


async def _invalid_parameters(request: Request, error: Exception) -> Response:
    """What FastAPI checks: a path, query or header parameter, and the body of an operator's call."""
    assert isinstance(error, RequestValidationError)
    # A parameter that may be left out would also tell that it is not None.
    errors = [
        FieldError(field=_field(*each["loc"]), message=each["msg"])
        for each in error.errors()
        if each["type"] != "none_required"
    ]
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors)
    return ProblemError(problems.INVALID, detail, errors=errors).response(request.scope)


def _field(where: str, *names: str | int) -> str:
    """Of a body the path to the field. Of a parameter its name: what follows that is how it was looked at."""
    if where == "body":
        return ".".join(map(str, names)) or "body"
    return str(names[0])


async def _internal_error(request: Request, _: Exception) -> Response:
    """uvicorn logs the exception."""
    return problems.internal_error(request.scope)
