"""A whole gateway (uvicorn, in this process, on a free port) in front of the doubles, new for each test."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from uvicorn.server import Server as UvicornServer

from gateway.server import Server
from gateway.settings import Settings
from gateway.tests import doubles


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_event_loop(anyio_backend: str) -> AsyncIterator[None]:  # noqa: ARG001 - anyio looks for it
    """grpc.aio lives on one event loop for the life of a process; this fixture keeps that loop for all tests."""
    yield  # noqa: PT022 - as long as this waits, the loop lives


def free_ports(count: int) -> list[int]:
    """Ports that are free now, below those that the system gives to outgoing connections."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


async def eventually(condition: Callable[[], object], within_s: float = 5) -> None:
    """Waits until the condition holds; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)


@dataclass
class Stack:
    """A gateway and the services before it."""

    port: int
    http: httpx.AsyncClient
    order: doubles.OrderDouble
    status: doubles.StatusDouble
    order_service: doubles.Service
    inventory_service: doubles.Service
    status_service: doubles.Service
    marketing_service: doubles.Service
    server: UvicornServer

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def place(self, **changes: Any) -> str:
        answer = await self.http.post("/order", json=an_order(**changes))
        assert answer.status_code == 202, answer.text
        return answer.json()["orderId"]

    async def metric(self, line: str) -> float:
        """The value of a metric, or 0."""
        text = (await self.http.get("/metrics")).text
        return sum(float(each.rpartition(" ")[2]) for each in text.splitlines() if each.startswith(line))


def an_order(**changes: Any) -> dict[str, Any]:
    order: dict[str, Any] = {"userId": "user-1", "items": [{"productId": "product-1", "quantity": 2}]}
    return order | changes


@asynccontextmanager
async def running(**changes: Any) -> AsyncGenerator[Stack]:
    """A stack whose gateway has these settings changed."""
    order_port, inventory_port, status_port, marketing_port, port = free_ports(5)
    order, status = doubles.OrderDouble(), doubles.StatusDouble()
    services = (
        doubles.order_service(order_port, order),
        doubles.inventory_service(inventory_port, doubles.InventoryDouble()),
        doubles.status_service(status_port, status),
        doubles.marketing_service(marketing_port, doubles.MarketingDouble()),
    )
    settings = Settings(
        port=port,
        order_address=f"127.0.0.1:{order_port}",
        inventory_address=f"127.0.0.1:{inventory_port}",
        status_address=f"127.0.0.1:{status_port}",
        marketing_address=f"127.0.0.1:{marketing_port}",
        shutdown_s=1,
    ).model_copy(update=changes)
    async with AsyncExitStack() as stack:
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        server = Server(settings)
        serving = asyncio.create_task(server._serve())  # pyright: ignore[reportPrivateUsage] - without its signals
        try:
            await eventually(lambda: server.started or serving.done())
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
            )
            yield Stack(port, http, order, status, *services, server)
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, 10)


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    async with running() as started:
        yield started
