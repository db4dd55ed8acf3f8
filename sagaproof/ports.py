"""Which TCP ports of this machine are free, and who holds one that is not.

All ports stay below 32768: above it, Linux (and Docker, and macOS from 49152) gives ports to outgoing connections, so a
port that is free now may be taken a moment later.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Collection
from pathlib import Path

import psutil

LOWEST, HIGHEST = 20_000, 32_000
LOOPBACK = "127.0.0.1"
SHOWN = 60


def is_free(port: int) -> bool:
    """Whether a server can listen on the port: nobody accepts there, and it can be bound (TIME_WAIT does not count)."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, avoid: Collection[int] = ()) -> list[int]:
    """Different free ports, drawn at random, so that two tests at once hardly ever draw the same."""
    found = list[int]()
    for port in random.sample(range(LOWEST, HIGHEST), k=2000):
        if port not in avoid and is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"fewer than {count} free ports among 2000 of {LOWEST}-{HIGHEST}")


def next_free(first: int, *, avoid: Collection[int] = ()) -> int:
    """`first`, or the next free port after it."""
    for port in range(first, first + 1000):
        if port not in avoid and is_free(port):
            return port
    raise OSError(f"no free port from {first} to {first + 999}")


def holder(port: int) -> str | None:
    """Who listens there: `python -m http.server 8080 (pid 4711)`; None if nobody does, or this user may not know."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                address = connection.laddr
                if address and address.port == port and connection.status == psutil.CONN_LISTEN:
                    program, *arguments = process.cmdline() or [process.name()]
                    shown = " ".join([Path(program).name, *arguments])
                    return f"{shown if len(shown) <= SHOWN else shown[:SHOWN] + '...'} (pid {process.pid})"
    return None
