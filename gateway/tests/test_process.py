"""`python -m gateway` as a process: its settings, and how it stops."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.__main__ import listen
from gateway.tests import doubles
from gateway.tests.conftest import eventually, free_ports

pytestmark = pytest.mark.anyio


async def start(**environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def process(**environ: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, int]]:
    """A gateway that answers, and its port."""
    [port] = free_ports(1)
    gateway = await start(PORT=str(port), **environ)
    try:
        await eventually(lambda: gateway.returncode is not None or answers(port), within_s=10)
        yield gateway, port
    finally:
        if gateway.returncode is None:
            gateway.kill()
            await gateway.wait()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("PORT", "http"), ("ORDER_ADDRESS", "a b"), ("LOG_LEVEL", "LOUD"), ("SLOW_CLIENT_S", "0")],
)
async def test_a_bad_setting_is_one_line_that_names_it(name: str, value: str) -> None:
    gateway = await start(**{name: value})
    _, stderr = await asyncio.wait_for(gateway.communicate(), 20)
    assert gateway.returncode == 1
    lines = stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"gateway: {name}={value!r}: ")


async def test_a_port_that_is_taken_is_an_error_that_says_so() -> None:
    async with process() as (_, port):
        second = await start(PORT=str(port))
        stdout, stderr = await asyncio.wait_for(second.communicate(), 20)
        assert second.returncode == 1
        assert f"gateway: 127.0.0.1:{port}" in stderr.decode()
        assert "Traceback" not in (stdout + stderr).decode()


async def test_sigterm_tells_watchers_to_come_back_and_ends_within_5_seconds() -> None:
    order_port, status_port = free_ports(2)
    order, status = doubles.OrderDouble(), doubles.StatusDouble()
    services = (doubles.order_service(order_port, order), doubles.status_service(status_port, status))
    for service in services:
        await service.start()
    environ = {"ORDER_ADDRESS": f"127.0.0.1:{order_port}", "STATUS_ADDRESS": f"127.0.0.1:{status_port}"}
    async with process(**environ) as (gateway, port), httpx.AsyncClient(trust_env=False) as http:
        body = {"userId": "u", "items": [{"productId": "product-1", "quantity": 1}]}
        base = f"127.0.0.1:{port}"
        order_id = (await http.post(f"http://{base}/order", json=body)).json()["orderId"]
        async with (
            connect(f"ws://{base}/ws/{order_id}") as client,
            http.stream("GET", f"http://{base}/status/{order_id}/stream") as events,
        ):
            await client.recv()
            gate = asyncio.Event()

            async def wait_for_gate(_: object) -> None:
                await gate.wait()

            order.faults_before.append(wait_for_gate)
            running = asyncio.create_task(http.post(f"http://{base}/order", json=body))
            await eventually(lambda: len(order.calls) == 2)
            began = time.monotonic()
            gateway.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as raised:
                await asyncio.wait_for(client.recv(), 5)
            assert raised.value.rcvd is not None
            assert raised.value.rcvd.code == 1012
            await asyncio.wait_for(events.aread(), 5)
            gate.set()
            assert (await running).status_code == 202
        assert await asyncio.wait_for(gateway.wait(), 5) == 0
        assert time.monotonic() - began < 5
        assert gateway.stdout
        lines = [json.loads(line) for line in (await gateway.stdout.read()).splitlines()]
        posts = [line for line in lines if line.get("path") == "/order"]
        assert [line["status"] for line in posts] == [202, 202]
        assert all(len(line["trace_id"]) == 32 for line in posts)
        assert posts[0]["order_id"] == order_id
    for service in services:
        await service.stop()


async def test_a_connection_sends_small_answers_at_once() -> None:
    [port] = free_ports(1)
    with listen("127.0.0.1", port) as listener, socket.create_connection(("127.0.0.1", port)):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
