"""Lists of orders, newest first, in pages.

A page begins behind the place at which the one before ended. An order's place never changes once its OrderCreated is
known (if its id is a UUIDv7, as the gateway makes them: from its first event on), so nothing is skipped and nothing
comes twice while orders come in and move on.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from shop.common.v1.common_pb2 import OrderStatus, Reason
from shop.status.v1.lists_pb2 import OrderFilter, Phase, Place

from services.engine.rpc import Commands, Found
from services.status.fold import BY_PHASE, BY_USER, ENDINGS, OPEN, StatusState

LOOKED_AT_MAX = 2000
"""Orders that one page looks at. Where few match, it ends with fewer than were asked for."""
READ_AT_ONCE = 200
"""Orders that one query reads where a filter may drop some: by the page's limit it could be one at a time."""

Order = Found[StatusState]


class Page(NamedTuple):
    orders: Sequence[Order]
    next: Place | None


async def page_of(commands: Commands, asked: OrderFilter, after: Place | None, limit: int) -> Page:
    """The next `limit` orders that match."""
    wanted = _matches(asked)
    place = None if after is None else (after.position, after.order_id)
    at_once = min(max(limit, READ_AT_ONCE), LOOKED_AT_MAX) if asked.ListFields() else limit
    orders: list[Order] = []
    looked_at = 0
    while looked_at < LOOKED_AT_MAX:
        found = await _behind(commands, asked, place, at_once)
        looked_at += len(found)
        for order in found:
            place = (order.position, order.id)
            if wanted(order.state):
                orders.append(order)
                if len(orders) == limit:
                    return Page(orders, Place(position=place[0], order_id=place[1]))
        if len(found) < at_once:
            return Page(orders, None)
    assert place is not None
    return Page(orders, Place(position=place[0], order_id=place[1]))


async def _behind(commands: Commands, asked: OrderFilter, place: tuple[str, str] | None, limit: int) -> Sequence[Order]:
    """The `limit` newest orders of those buckets in which there may be some that match."""
    if asked.user_id:
        return await commands.page(StatusState, BY_USER, asked.user_id, place, limit, descending=True)
    found: dict[str, Order] = {}
    # The open ones first: an order that ends meanwhile is found twice, and not missed.
    for bucket in _buckets(asked):
        orders = await commands.page(StatusState, BY_PHASE, bucket, place, limit, descending=True)
        found |= {order.id: order for order in orders}
    newest = sorted(found.values(), key=lambda order: (order.position, order.id), reverse=True)
    return newest[:limit]


def _buckets(asked: OrderFilter) -> list[str]:
    buckets = [OPEN, *ENDINGS.values()]
    if asked.status:
        buckets = [ENDINGS.get(asked.status, OPEN)]
    if asked.reason:
        buckets = [bucket for bucket in buckets if bucket == "CANCELLED"]
    if asked.phase:
        buckets = [bucket for bucket in buckets if (bucket == OPEN) == (asked.phase == Phase.PHASE_OPEN)]
    return buckets


def _matches(asked: OrderFilter) -> Callable[[StatusState], bool]:
    reason = Reason.Name(asked.reason)

    def matches(state: StatusState) -> bool:
        outcome = state.outcome
        return (
            (not asked.status or outcome.status == asked.status)
            and (not asked.reason or outcome.reason == reason)
            and (not asked.phase or outcome.ended == (asked.phase == Phase.PHASE_ENDED))
        )

    return matches


OPEN_COUNTED_MAX = 2000


async def count_open(commands: Commands) -> tuple[dict[OrderStatus, int], bool]:
    """Open orders by status, and whether the oldest of them are left out: there are more than OPEN_COUNTED_MAX."""
    found = await commands.page(StatusState, BY_PHASE, OPEN, None, OPEN_COUNTED_MAX + 1, descending=True)
    counts: dict[OrderStatus, int] = {}
    for order in found[:OPEN_COUNTED_MAX]:
        status = order.state.outcome.status
        counts[status] = counts.get(status, 0) + 1
    return counts, len(found) > OPEN_COUNTED_MAX
