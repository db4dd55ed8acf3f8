"""Live feeds: one stream to status for all clients of a kind, there while there is a client, and fanned out.

The dashboard's is level-triggered: each client is given the newest one when it is ready for it. The events' gives every
client those that it asked for, out of a bounded queue: a client that is slow misses some, and is told how many.
"""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from grpc import aio
from shop.status.v1 import dashboard_pb2, log_pb2, service_pb2_grpc

from gateway import events, views
from gateway.metrics import Metrics

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
QUEUE_MAX = 1_000
"""Events that wait for one client."""


class TooManyClientsError(Exception):
    """A limit is reached; try again later."""


class FeedClosedError(Exception):
    """The gateway is shutting down; connect again."""


class Client:
    """One client of a feed."""

    def __init__(self, leave: Callable[[Client], None]) -> None:
        self._leave = leave
        self.changed = asyncio.Event()
        self.left = False

    def close(self) -> None:
        if not self.left:
            self.left = True
            self.changed.set()
            self._leave(self)

    async def change(self) -> None:
        self.changed.clear()
        await self.changed.wait()


C = TypeVar("C", bound=Client)


class _Feed(ABC, Generic[C]):
    """Its clients, and the stream that is there for them."""

    def __init__(self, name: str, metrics: Metrics, max_clients: int) -> None:
        self._name = name
        self._metrics = metrics
        self._max_clients = max_clients
        self._clients: set[C] = set()
        self._stream: asyncio.Task[None] | None = None
        self._closed = False

    def close(self) -> None:
        """Ends all clients."""
        self._closed = True
        for client in list(self._clients):
            client.close()

    def _join(self, make: Callable[[Callable[[Client], None]], C]) -> C:
        if self._closed:
            raise FeedClosedError
        if len(self._clients) >= self._max_clients:
            raise TooManyClientsError
        client = make(self._leave)
        self._clients.add(client)
        self._metrics.followers.labels(self._name).set(len(self._clients))
        if self._stream is None:
            self._stream = asyncio.get_running_loop().create_task(self._run())
        return client

    def _leave(self, client: Client) -> None:
        self._clients = {each for each in self._clients if each is not client}
        self._metrics.followers.labels(self._name).set(len(self._clients))
        if not self._clients and self._stream is not None:
            self._stream.cancel()
            self._stream = None
            self._forget()

    async def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._session()
                reason = "it ended"
            except aio.AioRpcError as error:
                reason = f"{error.code().name}: {error.details()}"
            self._metrics.watch_breaks.inc()
            logger.warning("the stream of %s from status broke, connecting again: %s", self._name, reason)
            if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    @abstractmethod
    async def _session(self) -> None:
        """One stream, to its end."""

    @abstractmethod
    def _forget(self) -> None:
        """Nobody listens any more: what is known now is old when somebody comes."""


class DashboardClient(Client):
    """The newest dashboard, each time that there is another."""

    def __init__(self, leave: Callable[[Client], None], newest: Callable[[], str | None]) -> None:
        super().__init__(leave)
        self._newest = newest
        self._sent: str | None = None

    async def next(self) -> str | None:
        while not self.left:
            newest = self._newest()
            if newest is not None and newest != self._sent:
                self._sent = newest
                return f"data: {newest}\n\n"
            await self.change()
        return None


class DashboardFeed(_Feed[DashboardClient]):
    def __init__(self, stub: service_pb2_grpc.StatusServiceAsyncStub, metrics: Metrics, max_clients: int) -> None:
        super().__init__("dashboard", metrics, max_clients)
        self._stub = stub
        self._newest: str | None = None

    def join(self) -> DashboardClient:
        """Raises TooManyClientsError, FeedClosedError."""
        return self._join(lambda leave: DashboardClient(leave, lambda: self._newest))

    async def _session(self) -> None:
        call = self._stub.WatchDashboard(dashboard_pb2.WatchDashboardRequest(), wait_for_ready=True)
        try:
            async for response in call:
                self._newest = views.dashboard(response.dashboard).model_dump_json()
                for client in self._clients:
                    client.changed.set()
        finally:
            call.cancel()

    def _forget(self) -> None:
        self._newest = None


class Wanted(NamedTuple):
    """Which events a client wants; '' where it does not say. `type`: a short or a full name."""

    order_id: str
    type: str

    def matches(self, event: log_pb2.LoggedEvent) -> bool:
        full_type = event.event.type_url.rpartition("/")[2]
        return self.order_id in ("", event.key) and self.type in ("", full_type, full_type.rpartition(".")[2])


class _Waiting(NamedTuple):
    id: str
    lines: str


class EventClient(Client):
    """Events as they are stored."""

    def __init__(self, leave: Callable[[Client], None], wanted: Wanted) -> None:
        super().__init__(leave)
        self._wanted = wanted
        self._waiting: deque[_Waiting] = deque()
        self._told: set[str] = set()
        self._skipped = 0

    def wants(self, event: log_pb2.LoggedEvent) -> bool:
        return self._wanted.matches(event) and event.id not in self._told

    def offer(self, event_id: str, lines: str) -> None:
        if len(self._waiting) == QUEUE_MAX:
            self._waiting.popleft()
            self._skipped += 1
        self._waiting.append(_Waiting(event_id, lines))
        self.changed.set()

    def skip(self, count: int) -> None:
        self._skipped += count
        self.changed.set()

    def begin_with(self, past: Sequence[log_pb2.LoggedEvent], skipped: int, cursor: int) -> None:
        """What was stored before; some of it may have come live meanwhile, or be still to come.

        skipped: how many, about, there are that are older than these, and newer than what the client has
        cursor:  of the feed, before the past was read
        """
        read = {event.id for event in past}
        newer = [waiting for waiting in self._waiting if waiting.id not in read]
        older = [_Waiting(event.id, _lines(event, cursor)) for event in past if self._wanted.matches(event)]
        self._waiting = deque([*older, *newer])
        self._told = {event.id for event in past if event.seq > cursor}
        self._skipped += skipped
        self.changed.set()

    async def next(self) -> str | None:
        """Several events at once, where several wait."""
        while not self.left:
            if self._skipped or self._waiting:
                skipped, self._skipped = self._skipped, 0
                told = f'event: skipped\ndata: {{"events": {skipped}}}\n\n' if skipped else ""
                waiting, self._waiting = self._waiting, deque()
                return told + "".join(each.lines for each in waiting)
            await self.change()
        return None


class EventFeed(_Feed[EventClient]):
    def __init__(self, stub: service_pb2_grpc.StatusServiceAsyncStub, metrics: Metrics, max_clients: int) -> None:
        super().__init__("events", metrics, max_clients)
        self._stub = stub
        self._cursor: int | None = None
        self._begun = asyncio.Event()

    def join(self, wanted: Wanted) -> EventClient:
        """A client of what is stored from now on. Raises TooManyClientsError, FeedClosedError."""
        return self._join(lambda leave: EventClient(leave, wanted))

    async def cursor(self) -> int:
        """Behind which everything comes to those who have joined before. Waits while status is away."""
        await self._begun.wait()
        assert self._cursor is not None
        return self._cursor

    async def _session(self) -> None:
        call = self._stub.WatchEvents(log_pb2.WatchEventsRequest(after=self._cursor), wait_for_ready=True)
        try:
            async for response in call:
                self._receive(response)
        finally:
            call.cancel()

    def _receive(self, response: log_pb2.WatchEventsResponse) -> None:
        self._cursor = response.cursor
        self._begun.set()
        if response.skipped:
            for client in self._clients:
                client.skip(response.skipped)
        for event in response.events:
            those_who_want_it = [client for client in self._clients if client.wants(event)]
            if those_who_want_it:
                lines = _lines(event, response.cursor)
                for client in those_who_want_it:
                    client.offer(event.id, lines)

    def _forget(self) -> None:
        self._cursor = None
        self._begun.clear()


def _lines(event: log_pb2.LoggedEvent, cursor: int) -> str:
    """Whoever goes on from this id misses nothing, also where rows become visible out of order."""
    return f"id: {min(event.seq, cursor)}\ndata: {events.text(event)}\n\n"
