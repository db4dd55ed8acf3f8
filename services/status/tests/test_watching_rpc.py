"""The Watch RPC while the database is away: all orders of a client share one stream, which must go on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from shop.status.v1 import service_pb2 as pb

from services.engine.mailbox import Mailbox
from services.engine.memory import MemoryStore
from services.engine.retry import TransientError
from services.engine.rpc import Commands
from services.engine.store import StateRow
from services.status.bell import Bell
from services.status.servicer import StatusServicer
from services.status.watch import Watchers

WITHIN_S = 5.0


class Restarted(MemoryStore):
    """Does not answer the first time."""

    is_back = False

    def entity(self, entity: str) -> StateRow | None:
        if not self.is_back:
            self.is_back = True
            raise TransientError("the database: it is shutting down")
        return super().entity(entity)


def test_a_subscription_while_the_database_is_away_and_those_after_it_are_answered_when_it_is_back() -> None:
    async def subscriptions() -> AsyncIterator[pb.WatchRequest]:
        for order_id in ("a", "b"):
            yield pb.WatchRequest(subscribe=pb.Subscribe(order_id=order_id))
        await asyncio.Event().wait()

    async def scenario() -> list[str]:
        servicer = StatusServicer(Watchers(), Bell(), Commands(Mailbox(), Restarted()), "choreographed")
        answers = servicer.Watch(subscriptions(), cast("Any", None))
        async with asyncio.timeout(WITHIN_S):
            return [(await anext(answers)).order_id for _ in range(2)]

    assert asyncio.run(scenario()) == ["a", "b"]


class Broken(MemoryStore):
    def entity(self, entity: str) -> StateRow | None:
        raise ValueError(f"{entity} cannot be read")


def test_a_stream_whose_subscriptions_cannot_be_read_ends_and_does_not_go_deaf() -> None:
    async def watch() -> None:
        servicer = StatusServicer(Watchers(), Bell(), Commands(Mailbox(), Broken()), "choreographed")

        async def requests() -> AsyncIterator[pb.WatchRequest]:
            yield pb.WatchRequest(subscribe=pb.Subscribe(order_id="an-order"))
            await asyncio.Event().wait()

        answers = servicer.Watch(requests(), cast("Any", None))
        async with asyncio.timeout(WITHIN_S):
            await anext(answers)

    with pytest.raises(ValueError, match="cannot be read"):
        asyncio.run(watch())
