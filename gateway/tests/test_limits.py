"""Limits on bodies, heads, connections, and on clients that do not read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
from shop.status.v1 import service_pb2
from websockets.asyncio.client import connect

from gateway.tests.conftest import Stack, an_order, eventually, running
from gateway.tests.documents import document

pytestmark = pytest.mark.anyio

HEAD = b"POST /order HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Raw:
    """A bare connection, for what no HTTP client would send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, stack: Stack) -> Raw:
        return cls(*await asyncio.open_connection("127.0.0.1", stack.port))

    async def answer(self) -> tuple[int, dict[str, object]]:
        """Status and JSON body of the next answer."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return int(head.split()[1]), json.loads(await self._reader.readexactly(length))

    async def closed(self) -> bytes:
        """Waits until the gateway closes; what came until then."""
        try:
            return await asyncio.wait_for(self._reader.read(), 5)
        except ConnectionResetError:
            return b""


async def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(stack: Stack) -> None:
    raw = await Raw.open(stack)
    raw.writer.write(HEAD + b"Content-Length: 2000000\r\n\r\n{")
    status, problem = await raw.answer()
    assert (status, problem["status"]) == (413, 413)


async def test_a_chunked_body_that_grows_too_large_is_refused_before_its_end(stack: Stack) -> None:
    raw = await Raw.open(stack)
    raw.writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(30):
        raw.writer.write(b"2710\r\n" + b" " * 10_000 + b"\r\n")
    assert (await raw.answer())[0] == 413


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_2_mb_body_gets_its_413_and_the_connection_stays_usable(stack: Stack, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 10_000

    headers = {"Content-Type": "application/json"}
    content = chunks() if chunked else b" " * 2_000_000
    assert (await stack.http.post("/order", content=content, headers=headers)).status_code == 413
    assert (await stack.http.post("/order", json=an_order())).status_code == 202


async def test_a_client_that_goes_on_sending_for_ever_is_dropped(stack: Stack) -> None:
    raw = await Raw.open(stack)
    raw.writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")

    async def flood() -> None:
        for _ in range(100):
            raw.writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
            await raw.writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(flood(), 20)


async def test_a_body_that_does_not_come_is_given_up() -> None:
    async with running(body_timeout_s=0.1) as stack:
        raw = await Raw.open(stack)
        raw.writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert (await raw.answer())[0] == 408


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-Many: y\r\n" * 2_000 + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"x" * 20_000,
    ],
)
async def test_a_head_that_is_too_large_is_refused(stack: Stack, head: bytes) -> None:
    raw = await Raw.open(stack)
    raw.writer.write(head)
    status, problem = await raw.answer()
    assert (status, problem["title"]) == (431, "Request Header Fields Too Large")


async def test_a_head_that_comes_in_many_small_pieces_is_still_limited(stack: Stack) -> None:
    raw = await Raw.open(stack)
    raw.writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Endless: ")
    for _ in range(33):
        raw.writer.write(b"x" * 500)
        await raw.writer.drain()
    assert (await raw.answer())[0] == 431


async def test_large_bodies_on_one_connection_are_no_large_head(stack: Stack) -> None:
    body = json.dumps(
        an_order(deliveryAddress=" " * 500) | {"items": [{"productId": "p", "quantity": 1}] * 900}
    ).encode()
    raw = await Raw.open(stack)
    for _ in range(3):
        raw.writer.write(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode())
        await raw.writer.drain()
        raw.writer.write(body)
        assert (await raw.answer())[0] == 202


async def test_a_head_that_does_not_end_is_given_up_and_a_silent_connection_closed() -> None:
    async with running(head_timeout_s=0.1) as stack:
        slow, silent = await Raw.open(stack), await Raw.open(stack)
        slow.writer.write(b"GET /health HTTP/1.1\r\nHo")
        assert (await slow.answer())[0] == 408
        assert await silent.closed() == b""


async def test_what_is_no_http_is_a_problem_document(stack: Stack) -> None:
    raw = await Raw.open(stack)
    raw.writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    assert (await raw.answer())[0] == 400


async def test_a_connection_too_many_is_told_to_come_back() -> None:
    async with running(max_connections=3) as stack:
        crowd = [await Raw.open(stack) for _ in range(3)]
        gateway_connections = stack.server.server_state.connections
        await eventually(lambda: len(gateway_connections) == 3)
        answer = await stack.http.get("/health")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["connection"] == "close"
        for raw in crowd:
            raw.writer.close()
        await eventually(lambda: len(gateway_connections) <= 1)
        assert (await stack.http.get("/health")).status_code == 200


def large_document(order_id: str, seq: int) -> service_pb2.StatusDocument:
    entry = service_pb2.TimelineEntry(type="x", service="y", detail="z" * 200_000)
    return document(order_id, seq, timeline=[entry] * 5)


def socket_with_a_small_buffer(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", port))
    return connection


async def test_a_websocket_client_that_does_not_read_is_cut_off_and_another_is_served_meanwhile() -> None:
    async with running(slow_client_s=0.5) as stack:
        order_id = await stack.place()
        slow = await connect(
            f"{stack.ws}/ws/{order_id}", sock=socket_with_a_small_buffer(stack.port), max_queue=1, max_size=None
        )
        async with connect(f"{stack.ws}/ws/{order_id}", max_size=None) as quick:
            cut_off = stack.server.lifespan.state["gateway"].metrics.cut_off
            seq = 0
            while cut_off._value.get() == 0:
                seq += 1
                assert seq < 5_000
                stack.status.publish(large_document(order_id, seq))
                while json.loads(await asyncio.wait_for(quick.recv(), 2))["seq"] < seq:
                    pass
            await eventually(lambda: len(stack.server.server_state.connections) <= 2)
            stack.status.publish(document(order_id, seq + 1))
            assert json.loads(await asyncio.wait_for(quick.recv(), 2))["seq"] == seq + 1
            assert await stack.metric("sagaproof_gateway_watchers ") == 1
        slow.transport.abort()


async def test_an_event_source_that_does_not_read_is_cut_off() -> None:
    async with running(slow_client_s=0.2) as stack:
        order_id = await stack.place()
        slow = socket_with_a_small_buffer(stack.port)
        slow.sendall(f"GET /status/{order_id}/stream HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await eventually(lambda: order_id in stack.status.watched)
        cut_off = stack.server.lifespan.state["gateway"].metrics.cut_off
        for seq in range(1, 20):
            stack.status.publish(large_document(order_id, seq))
        seq = 20

        def one_more() -> bool:
            nonlocal seq
            seq += 1
            stack.status.publish(large_document(order_id, seq))
            return cut_off._value.get() == 1

        await eventually(one_more, within_s=10)
        await eventually(lambda: order_id not in stack.status.watched)
        slow.close()
