"""Watching: a stream gets the newest state of each of its orders, and never one that it knows."""

import asyncio
from collections.abc import AsyncIterator

from services.engine.participant import State
from services.status.fold import Seen, StatusState
from services.status.watch import Stream, Watchers

Change = tuple[str, StatusState | None]


def state(seq: int) -> StatusState:
    return StatusState(seen={f"Event{n}": Seen() for n in range(seq)})


async def changes(stream: Stream, count: int) -> list[Change]:
    """The next `count` changes; TimeoutError if they do not come."""

    async def take(changing: AsyncIterator[Change]) -> list[Change]:
        return [await anext(changing) for _ in range(count)]

    return await asyncio.wait_for(take(stream.changes()), 5.0)


def test_a_subscriber_is_told_what_is_above_what_it_knows() -> None:
    async def scenario() -> None:
        stream = Stream()
        stream.subscribe("a", 2)
        stream.offer("a", state(2))
        stream.offer("a", state(3))
        assert await changes(stream, 1) == [("a", state(3))]

    asyncio.run(scenario())


def test_a_slow_reader_skips_states_and_gets_the_newest() -> None:
    async def scenario() -> None:
        stream = Stream()
        stream.subscribe("a", 0)
        stream.subscribe("b", 0)
        for seq in (1, 2, 3):
            stream.offer("a", state(seq))
        stream.offer("b", state(1))
        stream.offer("a", state(2))
        assert await changes(stream, 2) == [("a", state(3)), ("b", state(1))]

    asyncio.run(scenario())


def test_an_order_that_nobody_knows_is_said_to_be_unknown_unless_it_became_known() -> None:
    async def scenario() -> None:
        stream = Stream()
        stream.subscribe("a", 0)
        stream.tell_unknown("a")
        assert await changes(stream, 1) == [("a", None)]
        stream.subscribe("b", 0)
        stream.offer("b", state(1))
        stream.tell_unknown("b")
        assert await changes(stream, 1) == [("b", state(1))]

    asyncio.run(scenario())


def test_after_unsubscribing_nothing_comes() -> None:
    stream = Stream()
    stream.subscribe("a", 0)
    stream.offer("a", state(1))
    stream.unsubscribe("a")
    stream.offer("a", state(2))
    stream.tell_unknown("a")
    assert not stream.subscribed("a")

    async def scenario() -> None:
        stream.subscribe("b", 0)
        stream.offer("b", state(1))
        assert await changes(stream, 1) == [("b", state(1))]

    asyncio.run(scenario())


def test_what_the_loop_commits_reaches_the_streams_that_watch_it_and_no_closed_one() -> None:
    async def scenario() -> None:
        watchers = Watchers()
        watchers.on_change({"status/a": state(1)})
        watching, other, closed = (watchers.open() for _ in range(3))
        for stream, order_id in ((watching, "a"), (other, "b"), (closed, "a")):
            stream.subscribe(order_id, 0)
        watchers.close(closed)
        committed: dict[str, State] = {"status/a": state(2), "status/c": state(1)}
        await asyncio.to_thread(watchers.on_change, committed)
        assert await changes(watching, 1) == [("a", state(2))]
        other.offer("b", state(1))
        assert await changes(other, 1) == [("b", state(1))]
        closed.subscribe("z", 0)
        closed.offer("z", state(1))
        assert await changes(closed, 1) == [("z", state(1))]

    asyncio.run(scenario())
