"""/events/stream and /dashboard/stream: one stream to status for all clients, and what each of them is given."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from shop.common.v1.common_pb2 import Order
from shop.order.v1.events_pb2 import OrderCompleted, OrderCreated
from shop.status.v1.dashboard_pb2 import Dashboard

from gateway import feeds
from gateway.tests.conftest import Stack, eventually, running

pytestmark = pytest.mark.anyio
WITHIN_S = 15.0


class Follower:
    """A client of Server-Sent Events."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The fields of the next event."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                fields: dict[str, str] = {}
                async for line in self._lines:
                    if not line:
                        break
                    name, _, value = line.partition(": ")
                    fields[name] = value
                if "data" in fields:
                    return fields

    async def data(self) -> Any:
        return json.loads((await self.next())["data"])

    async def end(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            async for _ in self._lines:
                pass


@asynccontextmanager
async def following(stack: Stack, path: str, **headers: str) -> AsyncGenerator[Follower]:
    async with stack.http.stream("GET", path, headers=headers) as response:
        yield Follower(response)


def created(stack: Stack, order_id: str = "", **how: Any) -> str:
    """Stores an OrderCreated; its id."""
    order_id = order_id or str(uuid.uuid4())
    return stack.status.store(OrderCreated(order=Order(order_id=order_id)), order_id, **how).id


async def listening(stack: Stack, kind: str = "events") -> None:
    await eventually(lambda: stack.status.followers[kind], WITHIN_S)


async def test_an_event_comes_as_it_is_stored_in_the_shape_in_which_it_is_listed(stack: Stack) -> None:
    created(stack)
    async with following(stack, "/events/stream") as client:
        await listening(stack)
        event_id = created(stack)
        told = await client.next()
        assert told["id"] == "2"
        assert json.loads(told["data"]) == (await stack.http.get("/events?limit=1")).json()["items"][0]
        assert json.loads(told["data"])["id"] == event_id


async def test_a_client_gets_the_events_that_it_asks_for(stack: Stack) -> None:
    mine = str(uuid.uuid4())
    async with (
        following(stack, f"/events/stream?orderId={mine}") as by_order,
        following(stack, "/events/stream?type=OrderCompleted") as by_type,
        following(stack, "/events/stream?type=shop.order.v1.OrderCompleted") as by_full_type,
    ):
        await listening(stack)
        created(stack)
        created_id = created(stack, mine)
        completed_id = stack.status.store(OrderCompleted(order=Order(order_id=mine)), mine).id
        assert [(await by_order.data())["id"] for _ in range(2)] == [created_id, completed_id]
        assert (await by_type.data())["id"] == completed_id
        assert (await by_full_type.data())["id"] == completed_id


async def test_all_clients_share_one_stream_which_is_there_while_they_are(stack: Stack) -> None:
    async with following(stack, "/events/stream") as one, following(stack, "/events/stream") as other:
        await listening(stack)
        event_id = created(stack)
        assert [(await one.data())["id"], (await other.data())["id"]] == [event_id] * 2
        assert stack.status.opened["events"] == 1
        assert await stack.metric('sagaproof_gateway_followers{feed="events"}') == 2
    await eventually(lambda: not stack.status.followers["events"], WITHIN_S)
    assert await stack.metric('sagaproof_gateway_followers{feed="events"}') == 0


async def test_who_comes_back_gets_what_was_missed_and_goes_on_live(stack: Stack) -> None:
    ids = [created(stack) for _ in range(5)]
    async with following(stack, "/events/stream", **{"Last-Event-ID": "2"}) as client:
        missed = [await client.next() for _ in range(3)]
        assert [each["id"] for each in missed] == ["3", "4", "5"]
        assert [json.loads(each["data"])["id"] for each in missed] == ids[2:]
        live = created(stack)
        assert (await client.data())["id"] == live


async def test_who_comes_back_for_one_order_gets_that_orders_events(stack: Stack) -> None:
    mine = str(uuid.uuid4())
    ids = [created(stack, mine), created(stack), created(stack, mine)]
    async with following(stack, f"/events/stream?orderId={mine}", **{"Last-Event-ID": "0"}) as client:
        assert [(await client.data())["id"] for _ in range(2)] == [ids[0], ids[2]]


async def test_an_event_that_was_in_the_past_and_comes_live_too_is_given_once(stack: Stack) -> None:
    first = created(stack)
    async with following(stack, "/events/stream", **{"Last-Event-ID": "0"}) as client:
        assert (await client.data())["id"] == first
        second = stack.status.store(OrderCreated(order=Order(order_id="x")), "x", cursor=1)
        assert (await client.next())["id"] == "1", "seq 2 came before another: who comes back asks from 1 on"
        async with following(stack, "/events/stream", **{"Last-Event-ID": "1"}) as late:
            assert (await late.data())["id"] == second.id
            stack.status.tell([second], cursor=2)
            third = created(stack)
            assert (await late.data())["id"] == third


async def test_of_a_long_past_the_newest_come_and_the_rest_is_counted(stack: Stack) -> None:
    for _ in range(2_600):
        created(stack)
    async with following(stack, "/events/stream", **{"Last-Event-ID": "100"}) as client:
        told = await client.next()
        assert (told["event"], json.loads(told["data"])) == ("skipped", {"events": 500})
        assert (await client.next())["id"] == "601"


async def test_what_was_skipped_upstream_is_told(stack: Stack) -> None:
    async with following(stack, "/events/stream") as client:
        await listening(stack)
        stack.status.tell([], cursor=7, skipped=7)
        told = await client.next()
        assert (told["event"], json.loads(told["data"])) == ("skipped", {"events": 7})


async def test_a_client_that_does_not_read_loses_the_oldest_and_is_told() -> None:
    client = feeds.EventClient(lambda _: None, feeds.Wanted("", ""))
    for number in range(feeds.QUEUE_MAX + 3):
        client.offer(str(number), f"data: {number}\n\n")
    lines = await client.next()
    assert lines is not None
    assert lines.startswith('event: skipped\ndata: {"events": 3}\n\ndata: 3\n\ndata: 4\n\n')


async def test_after_status_was_away_the_stream_goes_on_from_its_cursor(stack: Stack) -> None:
    async with following(stack, "/events/stream") as client:
        await listening(stack)
        created(stack)
        await client.next()
        await stack.status_service.stop()
        await eventually(lambda: not stack.status.followers["events"], WITHIN_S)
        missed = created(stack)
        await stack.status_service.start()
        assert (await client.data())["id"] == missed
    assert stack.status.followed_from == [None, 1]


async def test_without_status_what_was_missed_cannot_be_told_and_live_events_wait() -> None:
    async with running(first_answer_s=0.2) as stack:
        await stack.status_service.stop()
        async with following(stack, "/events/stream", **{"Last-Event-ID": "0"}) as client:
            assert client.status == 503
        async with following(stack, "/events/stream") as client:
            assert client.status == 200
            await stack.status_service.start()
            await listening(stack)
            event_id = created(stack)
            assert (await client.data())["id"] == event_id


async def test_the_dashboard_comes_at_once_and_at_each_change_over_one_stream(stack: Stack) -> None:
    async with following(stack, "/dashboard/stream") as one:
        assert await one.data() == (await stack.http.get("/dashboard")).json()
        async with following(stack, "/dashboard/stream") as other:
            assert (await other.data())["accepted"] == 1
            stack.status.count(Dashboard(accepted=2))
            assert [(await one.data())["accepted"], (await other.data())["accepted"]] == [2, 2]
        assert stack.status.opened["dashboard"] == 1
    await eventually(lambda: not stack.status.followers["dashboard"], WITHIN_S)


async def test_more_clients_than_the_limit_are_503() -> None:
    async with running(max_followers=1) as stack, following(stack, "/dashboard/stream"):
        answer = await stack.http.get("/dashboard/stream")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        async with following(stack, "/events/stream") as client:
            assert client.status == 200


async def test_at_the_end_of_the_gateway_the_streams_end(stack: Stack) -> None:
    async with following(stack, "/events/stream") as events, following(stack, "/dashboard/stream") as dashboard:
        await listening(stack)
        await dashboard.next()
        stack.server.should_exit = True
        await events.end()
        await dashboard.end()
