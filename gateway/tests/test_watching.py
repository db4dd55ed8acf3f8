"""Watching an order by WebSocket and by Server-Sent Events, over one stream to status."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from shop.common.v1 import common_pb2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.tests.conftest import Stack, eventually, running
from gateway.tests.documents import cancelled, delivered, document

pytestmark = pytest.mark.anyio


async def next_document(client: ClientConnection) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(client.recv(), 5))


async def closed(client: ClientConnection) -> int | None:
    """The code by which the gateway closes; fails if a document comes first."""
    with pytest.raises(ConnectionClosed) as raised:
        await next_document(client)
    return raised.value.rcvd.code if raised.value.rcvd else None


async def test_a_watcher_gets_the_document_now_and_at_each_change_until_it_is_delivered(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(document(order_id, 1))
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        assert (await next_document(client))["seq"] == 1
        stack.status.publish(document(order_id, 2, status=common_pb2.ORDER_STATUS_AWAITING_PAYMENT))
        second = await next_document(client)
        assert (second["seq"], second["status"]) == (2, "AWAITING_PAYMENT")
        assert second == (await stack.http.get(f"/status/{order_id}")).json()
        stack.status.publish(delivered(order_id, 9))
        assert (await next_document(client))["delivery"]["status"] == "DELIVERED"
        assert await closed(client) == 1000


async def test_a_cancelled_order_closes_the_socket_after_its_document(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(cancelled(order_id, 3))
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        assert (await next_document(client))["reason"] == "OUT_OF_STOCK"
        assert await closed(client) == 1000


async def test_with_since_nothing_comes_until_seq_is_higher(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(document(order_id, 4))
    async with connect(f"{stack.ws}/ws/{order_id}?since=5") as client:
        await eventually(lambda: order_id in stack.status.watched)
        for seq in (5, 7):
            stack.status.publish(document(order_id, seq))
        assert (await next_document(client))["seq"] == 7


async def test_who_has_seen_the_last_document_is_closed_at_once(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(delivered(order_id, 9))
    async with connect(f"{stack.ws}/ws/{order_id}?since=9") as client:
        assert await closed(client) == 1000


async def test_documents_that_are_old_or_repeated_are_dropped(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(document(order_id, 3))
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        assert (await next_document(client))["seq"] == 3
        for seq in (3, 1, 2, 3, 4):
            stack.status.send(document(order_id, seq))
        assert (await next_document(client))["seq"] == 4


@pytest.mark.parametrize("order_id", ["0b0f5d3c-7f4e-4d52-9c1a-6f1f6d1b2a77", "nonsense"])
async def test_an_order_that_was_never_accepted_closes_with_4404(stack: Stack, order_id: str) -> None:
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        assert await closed(client) == 4404


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "", "99999999999"])
async def test_a_bad_since_closes_with_4422(stack: Stack, since: str) -> None:
    async with connect(f"{stack.ws}/ws/{uuid.uuid4()}?since={since}") as client:
        assert await closed(client) == 4422


async def test_an_accepted_order_that_status_has_not_seen_is_pending_first_and_watched_on(stack: Stack) -> None:
    order_id = await stack.place()
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        first = await next_document(client)
        assert (first["seq"], first["status"], first["items"][0]["quantity"]) == (0, "PENDING", 2)
        stack.status.publish(document(order_id, 1))
        assert (await next_document(client))["seq"] == 1


async def test_all_watchers_of_all_orders_share_one_stream_and_one_subscription_for_each_order(stack: Stack) -> None:
    orders = [await stack.place() for _ in range(3)]
    clients = [await connect(f"{stack.ws}/ws/{order_id}") for order_id in orders for _ in range(4)]
    for order_id in orders:
        stack.status.publish(document(order_id, 1))
    for client in clients:
        while (await next_document(client))["seq"] != 1:
            pass
    assert stack.status.streams_opened == 1
    assert sorted(stack.status.subscriptions) == sorted((order_id, 0) for order_id in orders)
    assert await stack.metric("sagaproof_gateway_watchers ") == 12
    for client in clients:
        await client.close()
    await eventually(lambda: not stack.status.watched)
    assert await stack.metric("sagaproof_gateway_watchers ") == 0


async def test_open_watchers_go_on_after_status_was_away_and_miss_nothing_that_is_newer(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(document(order_id, 2))
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        assert (await next_document(client))["seq"] == 2
        await stack.status_service.stop()
        stack.status.documents[order_id] = document(order_id, 5)
        await stack.status_service.start()
        assert (await next_document(client))["seq"] == 5
        assert stack.status.subscriptions == [(order_id, 0), (order_id, 2)]
        stack.status.publish(delivered(order_id, 6))
        assert (await next_document(client))["seq"] == 6
        assert await closed(client) == 1000


async def test_a_watcher_that_comes_while_status_is_away_is_served_once_it_is_back(stack: Stack) -> None:
    order_id = await stack.place()
    await stack.status_service.stop()
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        stack.status.documents[order_id] = cancelled(order_id, 3)
        await stack.status_service.start()
        assert (await next_document(client))["seq"] == 3
        assert await closed(client) == 1000


async def test_a_watcher_waits_while_neither_status_nor_order_can_tell(stack: Stack) -> None:
    order_id = await stack.place()
    await stack.order_service.stop()
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        await eventually(lambda: order_id in stack.status.watched)
        stack.status.publish(document(order_id, 1))
        assert (await next_document(client))["seq"] == 1


async def test_more_watchers_of_one_order_than_allowed_are_told_to_try_later() -> None:
    async with running(max_watchers_per_order=2, max_watchers=3) as stack:
        one, other = await stack.place(), await stack.place()
        async with connect(f"{stack.ws}/ws/{one}") as first, connect(f"{stack.ws}/ws/{one}"):
            await next_document(first)
            async with connect(f"{stack.ws}/ws/{one}") as third:
                assert await closed(third) == 1013
            async with connect(f"{stack.ws}/ws/{other}") as of_other:
                await next_document(of_other)
                answer = await stack.http.get(f"/status/{uuid.uuid4()}/stream")
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            await eventually(lambda: other not in stack.status.watched)
        async with connect(f"{stack.ws}/ws/{one}") as again:
            assert (await next_document(again))["seq"] == 0


async def test_what_a_client_says_on_the_socket_is_ignored(stack: Stack) -> None:
    order_id = await stack.place()
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        await next_document(client)
        for message in ("hello", b"\x00\xff", "{}"):
            await client.send(message)
        stack.status.publish(document(order_id, 1))
        assert (await next_document(client))["seq"] == 1


async def test_a_client_that_sends_too_much_is_closed_and_no_watcher_is_left(stack: Stack) -> None:
    order_id = await stack.place()
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        await next_document(client)
        await client.send("x" * 5_000)
        assert await closed(client) == 1009
    await eventually(lambda: not stack.status.watched)


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    seq = -1
    async for line in lines:
        if line.startswith("id: "):
            seq = int(line.removeprefix("id: "))
        elif line.startswith("data: "):
            yield seq, json.loads(line.removeprefix("data: "))


async def test_server_sent_events_are_the_same_documents_with_seq_as_id(stack: Stack) -> None:
    order_id = await stack.place()
    async with stack.http.stream("GET", f"/status/{order_id}/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = events(answer.aiter_lines())
        assert (await anext(stream))[0] == 0
        stack.status.publish(document(order_id, 1))
        seq, shown = await anext(stream)
        assert seq == 1
        assert shown == (await stack.http.get(f"/status/{order_id}")).json()
        stack.status.publish(delivered(order_id, 5))
        assert [seq async for seq, _ in stream] == [5]


async def test_last_event_id_resumes_and_stands_before_since(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(cancelled(order_id, 5))
    headers = {"Last-Event-ID": "4"}
    answer = await stack.http.get(f"/status/{order_id}/stream?since=9", headers=headers)
    assert "id: 5\n" in answer.text


async def test_an_event_source_that_has_the_last_document_is_told_not_to_come_back(stack: Stack) -> None:
    order_id = await stack.place()
    stack.status.publish(cancelled(order_id, 5))
    answer = await stack.http.get(f"/status/{order_id}/stream", headers={"Last-Event-ID": "5"})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(("query", "headers"), [("?since=x", {}), ("?since=-1", {}), ("", {"Last-Event-ID": "x"})])
async def test_a_bad_resume_point_of_a_stream_is_refused(stack: Stack, query: str, headers: dict[str, str]) -> None:
    answer = await stack.http.get(f"/status/{uuid.uuid4()}/stream{query}", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in ("since", "Last-Event-ID")


async def test_a_quiet_stream_is_kept_alive_by_comments_also_while_status_is_away() -> None:
    async with running(keepalive_s=0.05, first_answer_s=0.05) as stack:
        order_id = await stack.place()
        await stack.status_service.stop()
        async with stack.http.stream("GET", f"/status/{order_id}/stream") as answer:
            lines = answer.aiter_lines()
            while not (await anext(lines)).startswith(":"):
                pass
            await stack.status_service.start()
            assert (await anext(events(lines)))[0] == 0


async def test_an_event_source_that_goes_away_is_no_watcher_any_more(stack: Stack) -> None:
    order_id = await stack.place()
    async with stack.http.stream("GET", f"/status/{order_id}/stream") as answer:
        await anext(events(answer.aiter_lines()))
        assert stack.status.watched == {order_id}
    await eventually(lambda: not stack.status.watched)
