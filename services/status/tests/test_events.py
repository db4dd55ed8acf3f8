"""The event log: lists, and following it though rows become visible out of order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop.inventory.v1.events_pb2 import StockReplenished
from shop.notification.v1.events_pb2 import NotificationSent
from shop.status.v1.log_pb2 import EventPlace

from services.engine.participant import Refusal
from services.engine.store import Logged
from services.status import events
from services.status.bell import Bell
from services.status.events import News, Tail, follow, page_of, shown, type_named
from services.status.tests.model import Model, order_id, story
from services.tests.shop import order

WITHIN_S = 15.0


def listed(model: Model, an_id: str = "", type_name: str = "", limit: int = 3) -> list[Logged]:
    async def read() -> list[Logged]:
        found: list[Logged] = []
        after: EventPlace | None = None
        while True:
            page = await page_of(model.commands, an_id, type_name, after, limit)
            found += page.events
            if page.next is None:
                return found
            after = page.next

    return asyncio.run(read())


def ids(rows: Sequence[Logged]) -> list[str]:
    return [row.message_id for row in rows]


def test_all_events_come_newest_first_and_those_of_one_order_by_time_whatever_came_first(model: Model) -> None:
    first, second = order_id(0), order_id(1)
    late = model.see(story(first)[3:], ms=100)
    early = model.see(story(first)[:3], ms=50)
    other = model.see(story(second), ms=0)
    assert ids(listed(model)) == [*late, *early, *other][::-1]
    assert ids(listed(model, first)) == [*early, *late]
    assert ids(listed(model, first, limit=50)) == [*early, *late]


def test_a_type_is_asked_for_by_either_name(model: Model) -> None:
    model.see(story(order_id(0)))
    model.see([StockReplenished(product_id="product-1", quantity=1, request_id="r")])
    for name in ("Shipped", "shop.shipping.v1.Shipped"):
        full_name = type_named(name)
        assert isinstance(full_name, str)
        assert [row.type for row in listed(model, "", full_name)] == ["shop.shipping.v1.Shipped"]
    refused = type_named("StockReserved")
    assert isinstance(refused, Refusal)
    assert refused.field == "type"
    assert "StockReplenished" in refused.message


def test_an_event_is_shown_as_it_was_published(model: Model) -> None:
    sent = NotificationSent(order=order({"product-1": 1}, order_id(0)), about="Shipped", text="It is on its way.")
    (message_id,) = model.see([sent])
    (row,) = listed(model)
    told = shown(row)
    assert (told.id, told.service, told.topic, told.key) == (message_id, "notification", "notification", order_id(0))
    assert (told.causation_id, told.trace_id) == ("cause", "a" * 32)
    body = NotificationSent()
    assert told.event.Unpack(body)
    assert body == sent


def row(seq: int) -> Logged:
    return Logged(seq, f"id-{seq}", "shop.order.v1.OrderCreated", "k", "order", seq, "", "", b"")


def rows(*seqs: int) -> list[Logged]:
    return [row(seq) for seq in seqs]


@given(st.data(), st.sets(st.integers(1, 20), max_size=6))
def test_every_row_is_given_once_and_the_cursor_passes_none_that_may_still_come(
    data: st.DataObject, never: set[int]
) -> None:
    """`never`: seqs of transactions that rolled back."""
    waiting = data.draw(st.permutations([seq for seq in range(1, 21) if seq not in never]))
    tail, visible, given_, now_s = Tail(0), list[int](), list[int](), 0.0
    while waiting:
        some, waiting = waiting[:3], waiting[3:]
        visible += some
        now_s += 0.1
        news = tail.take([row(seq) for seq in sorted(visible) if seq > tail.cursor], now_s)
        given_ += [each.seq for each in news.rows]
        assert all(seq > tail.cursor for seq in waiting), "a row behind the cursor would never be read"
    assert sorted(given_) == sorted(visible)
    for _ in range(25):
        now_s += events.GAP_S + 0.1
        tail.take([row(seq) for seq in sorted(visible) if seq > tail.cursor], now_s)
    assert tail.cursor == max(visible, default=0)


def test_a_gap_is_waited_for_and_then_given_up() -> None:
    tail = Tail(0)
    assert tail.take(rows(1, 3), 0.0) == News(rows(1, 3), 1, 0)
    assert tail.take(rows(3, 4), 1.0) == News(rows(4), 1, 0)
    assert tail.take(rows(2, 3, 4), 1.5) == News(rows(2), 4, 0)
    assert tail.take(rows(6), 2.0).cursor == 4
    assert tail.take(rows(6), 2.1 + events.GAP_S).cursor == 6


def test_a_jump_counts_what_it_skips() -> None:
    tail = Tail(0)
    tail.take(rows(1, 2), 0.0)
    assert tail.jump(rows(8, 9)) == News(rows(8, 9), 9, 5)
    assert tail.take(rows(10), 0.1) == News(rows(10), 10, 0)


async def next_of(news: AsyncIterator[News]) -> News:
    async with asyncio.timeout(WITHIN_S):
        return await anext(news)


def test_a_follower_is_told_where_it_begins_and_gets_what_is_stored_from_then_on(model: Model) -> None:
    model.see(story(order_id(0)))

    async def scenario() -> None:
        bell = Bell()
        following = follow(model.commands, bell, None)
        assert await next_of(following) == News((), 5, 0)
        told = asyncio.ensure_future(next_of(following))
        stored = await asyncio.to_thread(model.see, story(order_id(1)))
        await asyncio.to_thread(bell.ring)
        assert ids((await told).rows) == stored
        following_again = follow(model.commands, bell, 5)
        assert ids((await next_of(following_again)).rows) == stored

    asyncio.run(scenario())


def test_what_another_process_stored_is_seen_without_a_ring(model: Model) -> None:
    async def scenario() -> None:
        following = follow(model.commands, Bell(), 0)
        told = asyncio.ensure_future(next_of(following))
        stored = await asyncio.to_thread(model.see, story(order_id(0)))
        assert ids((await told).rows) == stored

    asyncio.run(scenario())


def test_when_more_is_stored_than_a_follower_is_given_the_newest_come_and_the_rest_is_counted(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "READ_MAX", 4)
    stored = [event_id for n in range(5) for event_id in model.see(story(order_id(n)))]

    async def scenario() -> None:
        news = await next_of(follow(model.commands, Bell(), 0))
        assert (ids(news.rows), news.skipped, news.cursor) == (stored[-4:], 21, 25)

    asyncio.run(scenario())


def test_a_bell_wakes_all_who_wait_from_any_thread_and_only_until_they_go() -> None:
    async def scenario() -> None:
        bell = Bell()
        bell.ring()
        with bell.heard() as one, bell.heard() as other:
            for _ in range(3):
                await asyncio.to_thread(bell.ring)
                async with asyncio.timeout(WITHIN_S):
                    await one.wait()
                    await other.wait()
                one.clear()
                other.clear()
        bell.ring()
        await asyncio.sleep(0)
        assert not one.is_set()

    asyncio.run(scenario())


def test_messages_without_a_trace_have_no_trace_id() -> None:
    told: Any = shown(row(1)._replace(message_id=str(uuid4())))
    assert told.trace_id == ""
