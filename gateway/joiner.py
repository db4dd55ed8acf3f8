"""Joins orders that are placed at the same time into one PlaceOrders call.

An order goes out at once when no call is in flight; what arrives meanwhile goes with the next call, so calls grow with
the load by themselves. A slow call does not hold the others up for long: after `patience_s`, or with a full call's
worth waiting, another one starts beside it, up to `max_in_flight`. Everything is bounded: orders and bytes a call,
calls in flight, orders waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from shop.order.v1 import service_pb2

from gateway import trace
from gateway.backends import FieldViolation, RefusedError, UnavailableError

MAX_ORDERS_A_CALL = 500
# Half of what a gRPC server takes in one message by default.
MAX_BYTES_A_CALL = 2_000_000

Place: TypeAlias = Callable[[service_pb2.PlaceOrdersRequest], Awaitable[service_pb2.PlaceOrdersResponse]]
"""The call to the order service, with its retries and deadline; raises RefusedError or UnavailableError."""


class QueueFullError(Exception):
    """Too many orders are waiting; nothing was sent."""


@dataclass(slots=True)
class _Waiting:
    order: service_pb2.PlaceOrderRequest
    bytes: int
    since: float
    answer: asyncio.Future[service_pb2.PlaceOrderResponse]


class Joiner:
    def __init__(
        self, place: Place, *, max_waiting: int, max_in_flight: int, patience_s: float, joined: Callable[[float], None]
    ) -> None:
        self._place = place
        self._max_waiting = max_waiting
        self._max_in_flight = max_in_flight
        self._patience_s = patience_s
        self._joined = joined
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._dispatch_is_due = False

    async def place(self, order: service_pb2.PlaceOrderRequest) -> service_pb2.PlaceOrderResponse:
        """The service's answer for this order. Raises RefusedError, UnavailableError or QueueFullError."""
        if len(self._queue) >= self._max_waiting:
            raise QueueFullError
        answer: asyncio.Future[service_pb2.PlaceOrderResponse] = self._loop.create_future()
        order.traceparent = trace.current.get()
        self._queue.append(_Waiting(order, order.ByteSize(), self._loop.time(), answer))
        if not self._dispatch_is_due:
            # At the end of this turn of the loop: what arrives in the same turn goes along.
            self._dispatch_is_due = True
            self._loop.call_soon(self._dispatch)
        return await answer

    def _dispatch(self) -> None:
        self._dispatch_is_due = False
        while self._queue and self._may_start():
            batch = self._take()
            if batch:
                call = self._loop.create_task(self._send(batch))
                self._calls.add(call)
                call.add_done_callback(self._call_ended)
        if self._queue and self._timer is None and len(self._calls) < self._max_in_flight:
            self._timer = self._loop.call_at(self._queue[0].since + self._patience_s, self._patience_ended)

    def _may_start(self) -> bool:
        if not self._calls:
            return True
        if len(self._calls) >= self._max_in_flight:
            return False
        waited_s = self._loop.time() - self._queue[0].since
        return len(self._queue) >= MAX_ORDERS_A_CALL or waited_s >= self._patience_s

    def _take(self) -> list[_Waiting]:
        """The next call's orders; those whose caller has gone away are left out, as nothing was sent for them."""
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < MAX_ORDERS_A_CALL:
            if batch and size + self._queue[0].bytes > MAX_BYTES_A_CALL:
                break
            waiting = self._queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
                size += waiting.bytes
        return batch

    def _patience_ended(self) -> None:
        self._timer = None
        self._dispatch()

    def _call_ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._dispatch()

    async def _send(self, batch: list[_Waiting]) -> None:
        self._joined(len(batch))
        trace.current.set("")  # every order brings its own
        try:
            response = await self._place(service_pb2.PlaceOrdersRequest(orders=[each.order for each in batch]))
        except RefusedError as refused:
            await self._refused(batch, refused)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait for this call
            _fail(batch, error)
        else:
            _answer(batch, response)

    async def _refused(self, batch: list[_Waiting], refused: RefusedError) -> None:
        """One order that breaks the rules of the whole call must not take the others along: halve and ask again."""
        if len(batch) == 1 or refused.code is not grpc.StatusCode.INVALID_ARGUMENT:
            _fail(batch, refused)
            return
        middle = len(batch) // 2
        await self._send(batch[:middle])
        await self._send(batch[middle:])


def _answer(batch: list[_Waiting], response: service_pb2.PlaceOrdersResponse) -> None:
    if len(response.results) != len(batch):
        _fail(
            batch,
            UnavailableError("order", sent=True, cause=f"{len(response.results)} results for {len(batch)} orders"),
        )
        return
    for waiting, result in zip(batch, response.results, strict=True):
        if result.WhichOneof("result") == "accepted":
            _settle(waiting, result.accepted)
        else:
            _settle(waiting, _refusal(result.refused))


def _refusal(refusal: service_pb2.Refusal) -> Exception:
    violations = [FieldViolation(refusal.field, refusal.message)] if refusal.field else []
    for code in grpc.StatusCode:
        if code.value[0] == refusal.code:
            return RefusedError(code, refusal.message, violations)
    return UnavailableError("order", sent=True, cause=f"refusal with unknown code {refusal.code}")


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        _settle(waiting, error)


def _settle(waiting: _Waiting, outcome: service_pb2.PlaceOrderResponse | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
