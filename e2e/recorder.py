"""Takes down the history of a running shop, once it is at rest. It only reads.

What customers were told and saw, and what was broken, only whoever did it knows: that is given. Where nothing is known
of customers, the orders that were created count as accepted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol

import grpc
from shop.admin.v1 import service_pb2 as admin
from shop.admin.v1.service_pb2_grpc import AdminServiceStub
from shop.status.v1 import lists_pb2 as lists
from shop.status.v1.service_pb2_grpc import StatusServiceStub

from e2e.history import History, Mode
from e2e.reading import RPC_WITHIN_S, Addresses, Kafka, Part, add, complete, ends, parts

LOOK_EVERY_S = 0.2
TELL_EVERY = 100_000
"""Parts."""
STILL_S = 2.5
"""Longer than a step of a delivery."""
DEADLINE_US = 30_000_000

Told = Callable[[str], None]


class NotAtRest(Exception):
    """Something is still under way; the message says what."""


class Keeper(Protocol):
    """What takes the parts of a shop as they are read."""

    def begin(self, mode: Mode, records: int) -> None:
        """From the start, perhaps once more; so many records are on the topics."""
        ...

    def take(self, part: Part) -> None: ...


def record(
    shop: Addresses,
    topics: Sequence[str],
    *,
    rest_within_s: float,
    deadline_us: int = DEADLINE_US,
    tell: Told = lambda _: None,
) -> History:
    """The history of a shop, once it is at rest; with 0 seconds, as it is.

    tell: is given a line for each part that has been read
    Raises grpc.RpcError, KafkaException or TimeoutError where a part does not answer, and NotAtRest.
    """
    keeper = _Whole(deadline_us)
    read(shop, topics, keeper, rest_within_s=rest_within_s, tell=tell)
    complete(keeper.history)
    return keeper.history


class _Whole:
    """Keeps everything, as one history."""

    def __init__(self, deadline_us: int) -> None:
        self._deadline_us = deadline_us
        self.history: History

    def begin(self, mode: Mode, records: int) -> None:
        del records
        self.history = History(mode, self._deadline_us, time.time_ns() // 1000)

    def take(self, part: Part) -> None:
        add(self.history, part)


def read(
    shop: Addresses, topics: Sequence[str], keeper: Keeper, *, rest_within_s: float, tell: Told = lambda _: None
) -> None:
    """Gives the keeper all parts of a shop that is at rest. If something was said meanwhile, once more from the start.

    rest_within_s: to wait for rest, the readings not counted; with 0, it is read as it is
    """
    left_s = rest_within_s
    while True:
        began = time.monotonic()
        mode = _wait_for_rest(shop, max(left_s, LOOK_EVERY_S) if rest_within_s else 0.0, tell)
        left_s -= time.monotonic() - began
        before = ends(shop.kafka, topics)
        keeper.begin(mode, sum(before.values()))
        counted = Counter[str]()
        for part in parts(shop, topics):
            keeper.take(part)
            counted[type(part).__name__] += 1
            if counted.total() % TELL_EVERY == 0:
                tell(_so_far(counted))
        tell(_so_far(counted))
        if not rest_within_s or ends(shop.kafka, topics) == before:
            return
        tell("something was said meanwhile, a delivery's step perhaps: once more")
        left_s -= _still(shop.kafka, topics, left_s)


def _still(kafka: Kafka, topics: Sequence[str], within_s: float) -> float:
    """Waits until no topic has grown for STILL_S; how long that took. Raises NotAtRest."""
    began = moved_at = time.monotonic()
    seen = ends(kafka, topics)
    while time.monotonic() - moved_at < STILL_S:
        if time.monotonic() - began > within_s:
            raise NotAtRest("not at rest in time: records come all the time")
        time.sleep(LOOK_EVERY_S)  # between two looks at a condition
        now = ends(kafka, topics)
        if now != seen:
            seen, moved_at = now, time.monotonic()
    return time.monotonic() - began


def _so_far(counted: Counter[str]) -> str:
    found = f"{counted['Published']} records of the topics, {counted['Stored']} events of the stores"
    rest = f"{counted['Shown']} orders, {counted['Level']} products, {counted['Holding']} accounts"
    return f"{found}, {rest}" if counted["Level"] else found


def _wait_for_rest(shop: Addresses, within_s: float, tell: Told) -> Mode:
    """Until every service has read all that there is and no order is open, or, with 0, at once; the mode."""
    deadline, told = time.monotonic() + within_s, ""
    with ExitStack() as channels:

        def channel(address: str) -> grpc.Channel:
            return channels.enter_context(grpc.insecure_channel(address))

        admins = {service: AdminServiceStub(channel(address)) for service, address in shop.admin.items()}
        status = StatusServiceStub(channel(shop.public["status"]))
        while True:
            infos = {
                service: stub.GetInfo(admin.GetInfoRequest(), timeout=RPC_WITHIN_S, wait_for_ready=True)
                for service, stub in admins.items()
            }
            behind = [f"{service} is {info.lag} records behind" for service, info in infos.items() if info.lag]
            behind += [
                f"{service} does not know how far it is" for service, info in infos.items() if not info.positions
            ]
            request = lists.ListOrdersRequest(filter=lists.OrderFilter(phase=lists.PHASE_OPEN), limit=1)
            if status.ListOrders(request, timeout=RPC_WITHIN_S, wait_for_ready=True).orders:
                behind.append("orders are open")
            if not behind or not within_s:
                return "orchestrated" if infos["order"].saga_mode == "orchestrated" else "choreographed"
            waiting = "; ".join(behind)
            if time.monotonic() > deadline:
                raise NotAtRest(f"not at rest within {within_s:g} s: {waiting}")
            if not told:
                told = waiting
                tell(f"waiting until all is at rest: {waiting}")
            time.sleep(LOOK_EVERY_S)  # between two looks at a condition
