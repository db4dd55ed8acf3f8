"""The gateway's HTTP server: uvicorn with the gateway's limits and its way to stop."""

from __future__ import annotations

import socket

import uvicorn

from gateway.app import create_app
from gateway.protocols import WebSocketProtocol, http_protocol
from gateway.settings import Settings
from gateway.state import Gateway

_MAX_CLIENT_MESSAGE_BYTES = 4_096


class Server(uvicorn.Server):
    """Stops within `shutdown_s` and a moment: watchers are told to connect again, running requests may finish."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(settings),
                host=settings.host,
                port=settings.port,
                http=http_protocol(settings.max_head_bytes, settings.head_timeout_s),
                ws=WebSocketProtocol,
                ws_max_size=_MAX_CLIENT_MESSAGE_BYTES,
                ws_ping_interval=settings.keepalive_s,
                ws_ping_timeout=settings.keepalive_s,
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=max(1, round(settings.shutdown_s)),
                lifespan="on",
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        gateway = self.lifespan.state["gateway"]
        assert isinstance(gateway, Gateway)
        gateway.hub.close()
        gateway.events.close()
        gateway.dashboard.close()
        await super().shutdown(sockets)
