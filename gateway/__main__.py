"""`python -m gateway`: reads the settings from the environment and serves until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys

from gateway import logs
from gateway.server import Server
from gateway.settings import Settings, SettingsError, read_settings


def main() -> None:
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        sys.exit(f"gateway: {error}")
    logs.configure(settings.log_level)
    _allow_connections(settings)
    listener = listen(settings.host, settings.port)
    server = Server(settings)
    # uvicorn raises the signal again once it has stopped; then this does nothing, and the exit code is 0.
    signal.signal(signal.SIGTERM, server.handle_exit)
    signal.signal(signal.SIGINT, server.handle_exit)
    server.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ends the process with one line if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        sys.exit(f"gateway: {host}:{port}: {error.strerror}; HOST and PORT say where to listen")
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, which these do not; without it,
    # every answer but the first on a connection waits 40 ms for the client's delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _allow_connections(settings: Settings) -> None:
    """Raises the soft limit on open files, often 1,024, to what the connections need, as far as the hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * settings.max_connections + 256
    if soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
