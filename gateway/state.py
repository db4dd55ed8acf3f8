"""What a running gateway holds, and how a request gets at it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from gateway.console_desk import Desk
from gateway.feeds import DashboardFeed, EventFeed
from gateway.hub import Hub
from gateway.metrics import Metrics
from gateway.services import Services
from gateway.settings import Settings


@dataclass(frozen=True)
class Gateway:
    settings: Settings
    metrics: Metrics
    services: Services
    hub: Hub
    events: EventFeed
    dashboard: DashboardFeed
    # None unless CONSOLE_ADMIN=1.
    desk: Desk | None = None


def gateway_of(connection: HTTPConnection) -> Gateway:
    gateway = connection.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway
