"""All watchers of all orders over one Watch stream to the status service.

The stream reconnects with backoff and subscribes every watched order again, from the last seq that was seen; meanwhile
the watchers just wait. Where status has not seen an order, the order service is asked once, for all its watchers.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from grpc import aio
from shop.status.v1 import service_pb2, service_pb2_grpc

from gateway.backends import UnavailableError
from gateway.documents import Snapshot, snapshot
from gateway.metrics import Metrics
from gateway.watchers import HubClosedError, TooManyWatchersError, UnknownOrderError, WatchedOrder, Watcher

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
# Requests that wait to be written: far more than a stream that moves ever holds.
_MAX_OUTGOING = 20_000

Lookup: TypeAlias = Callable[[str], Awaitable[Snapshot | None]]
"""What to say of an order that status has not seen: its PENDING snapshot, or None if it was never accepted. Raises
UnavailableError."""


class Hub:
    def __init__(
        self,
        stub: service_pb2_grpc.StatusServiceAsyncStub,
        lookup: Lookup,
        metrics: Metrics,
        *,
        max_watchers: int,
        max_watchers_per_order: int,
    ) -> None:
        self._stub = stub
        self._lookup = lookup
        self._metrics = metrics
        self._max_watchers = max_watchers
        self._max_watchers_per_order = max_watchers_per_order
        self._orders: dict[str, WatchedOrder] = {}
        self._count = 0
        # None while there is no stream: the next one begins by subscribing to all.
        self._outgoing: asyncio.Queue[service_pb2.WatchRequest] | None = None
        self._closed = False

    def watch(self, order_id: str, since: int) -> Watcher:
        """A new watcher, which gets documents with a seq above `since`. Raises TooManyWatchersError, HubClosedError."""
        if self._closed:
            raise HubClosedError
        order = self._orders.get(order_id)
        if self._count >= self._max_watchers or (order and len(order.watchers) >= self._max_watchers_per_order):
            raise TooManyWatchersError
        if order is None:
            order = WatchedOrder(order_id)
            self._send(_subscribe(order))
            self._orders[order_id] = order
        watcher = Watcher(order, since, self._leave)
        order.watchers.add(watcher)
        self._count_watchers(+1)
        return watcher

    def close(self) -> None:
        """Ends all watchers with HubClosedError."""
        self._closed = True
        for order in list(self._orders.values()):
            self._end(order, HubClosedError())

    async def run(self) -> None:
        """Keeps the stream up until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._session()
                reason = "it ended"
            except aio.AioRpcError as error:
                reason = f"{error.code().name}: {error.details()}"
            self._metrics.watch_breaks.inc()
            logger.warning("watch stream to status broke, connecting again: %s", reason)
            if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _session(self) -> None:
        """One stream, from its subscriptions to its end. Waits for the service to be there."""
        outgoing: asyncio.Queue[service_pb2.WatchRequest] = asyncio.Queue(_MAX_OUTGOING)
        self._outgoing = outgoing
        known = [_subscribe(order) for order in self._orders.values()]
        call = self._stub.Watch(wait_for_ready=True)
        writer = asyncio.get_running_loop().create_task(_write(call, known, outgoing))
        try:
            async for response in call:
                self._receive(response)
        finally:
            self._outgoing = None
            writer.cancel()
            call.cancel()

    def _receive(self, response: service_pb2.WatchResponse) -> None:
        order = self._orders.get(response.order_id)
        if order is None:
            return
        if not response.HasField("document"):
            if order.newest is None and order.lookup is None:
                order.lookup = asyncio.get_running_loop().create_task(self._look_up(order))
            return
        try:
            order.publish(snapshot(response.document))
        except ValueError:
            # One document that cannot be shown must not end the stream that all orders share.
            logger.exception("document of status cannot be shown", extra={"fields": {"order_id": response.order_id}})

    async def _look_up(self, order: WatchedOrder) -> None:
        """Asks the order service until it answers, or status does, or nobody watches any more."""
        while order.newest is None:
            try:
                pending = await self._lookup(order.order_id)
            except UnavailableError:
                await asyncio.sleep(random.uniform(_LONGEST_PAUSE_S / 2, _LONGEST_PAUSE_S))
                continue
            if pending is not None:
                order.publish(pending)
            elif order.newest is None:
                self._end(order, UnknownOrderError())
            return

    def _leave(self, watcher: Watcher) -> None:
        order = watcher.order
        order.watchers.discard(watcher)
        self._count_watchers(-1)
        if not order.watchers:
            self._forget(order)

    def _end(self, order: WatchedOrder, fate: UnknownOrderError | HubClosedError) -> None:
        """Forgets it at once, so that who comes next asks afresh."""
        self._forget(order)
        order.fate = fate
        order.wake()

    def _forget(self, order: WatchedOrder) -> None:
        if self._orders.get(order.order_id) is not order:
            return
        del self._orders[order.order_id]
        self._send(service_pb2.WatchRequest(unsubscribe=service_pb2.Unsubscribe(order_id=order.order_id)))
        if order.lookup is not None and order.lookup is not asyncio.current_task():
            order.lookup.cancel()

    def _send(self, request: service_pb2.WatchRequest) -> None:
        if self._outgoing is None:
            return
        try:
            self._outgoing.put_nowait(request)
        except asyncio.QueueFull:
            # What a lost unsubscription still brings in is ignored.
            if request.HasField("subscribe"):
                raise TooManyWatchersError from None

    def _count_watchers(self, change: int) -> None:
        self._count += change
        self._metrics.watchers.set(self._count)


def _subscribe(order: WatchedOrder) -> service_pb2.WatchRequest:
    since = order.newest.seq if order.newest else 0
    return service_pb2.WatchRequest(subscribe=service_pb2.Subscribe(order_id=order.order_id, since=since))


async def _write(
    call: aio.StreamStreamCall[service_pb2.WatchRequest, service_pb2.WatchResponse],
    known: list[service_pb2.WatchRequest],
    outgoing: asyncio.Queue[service_pb2.WatchRequest],
) -> None:
    try:
        for request in known:
            await call.write(request)
        while True:
            await call.write(await outgoing.get())
    except (aio.AioRpcError, asyncio.InvalidStateError):
        pass  # the stream has ended, as its reader sees too
