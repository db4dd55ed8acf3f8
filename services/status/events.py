"""The event log: lists of it, and following it live.

Of one order it is the audit trail, in the order of the events' own times. All of it is listed as it was stored, the
newest first; several replicas store into it at once, so that their rows may become visible out of order.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from google.protobuf.any_pb2 import Any
from shop.status.v1 import log_pb2 as pb

from services import saga
from services.engine.participant import Refusal
from services.engine.rpc import Commands
from services.engine.store import Logged
from services.status.bell import Bell, rung
from services.status.documents import timestamp

OF_ONE_ORDER_MAX = 1000
"""Events of one order that are sorted by time; an order has some fifteen."""
READ_MAX = 1_000
"""Events that a follower is given at once; some 400 KB. With more than these in a PAUSE_S, it misses some."""
PAUSE_S = 0.03
"""From one look at the log to the next, at least."""
LOOK_EVERY_S = 1.0
"""From one look at the log to the next, at most: another replica may have stored something."""
GAP_S = 2.0
"""How long a seq that is missing may still come: longer than a transaction takes."""

_INVALID_ARGUMENT = 3
_FULL_NAME = {cls.DESCRIPTOR.name: saga.full_name(cls) for cls in saga.TOPIC_OF}


class Page(NamedTuple):
    events: Sequence[Logged]
    next: pb.EventPlace | None


def type_named(name: str) -> str | Refusal:
    """The full name of the type with this short or full name; '' of ''."""
    if not name or name in saga.PUBLIC:
        return name
    if name in _FULL_NAME:
        return _FULL_NAME[name]
    return Refusal(_INVALID_ARGUMENT, f"is none of {', '.join(sorted(_FULL_NAME))}", "type")


def shown(row: Logged) -> pb.LoggedEvent:
    trace = row.traceparent.split("-")
    return pb.LoggedEvent(
        id=row.message_id,
        time=timestamp(row.time_us),
        service=row.source,
        topic=saga.PUBLIC[row.type],
        key=row.key,
        causation_id=row.cause_id,
        trace_id=trace[1] if len(trace) == 4 else "",
        event=Any(type_url=f"type.googleapis.com/{row.type}", value=row.payload),
        seq=row.seq,
    )


async def page_of(commands: Commands, order_id: str, type_name: str, after: pb.EventPlace | None, limit: int) -> Page:
    """The next `limit` events of this order and this type, or with '' of all."""
    if order_id:
        return await _of_order(commands, order_id, type_name, after, limit)
    behind = None if after is None else after.seq
    rows = await commands.log("", type_name, behind, limit, descending=True)
    return Page(rows, pb.EventPlace(seq=rows[-1].seq) if len(rows) == limit else None)


async def _of_order(commands: Commands, order_id: str, type_name: str, after: pb.EventPlace | None, limit: int) -> Page:
    rows = await commands.log(order_id, type_name, None, OF_ONE_ORDER_MAX)
    rows.sort(key=_place)
    if after is not None:
        behind = (after.time_us, after.seq)
        rows = [row for row in rows if _place(row) > behind]
    if len(rows) <= limit:
        return Page(rows, None)
    time_us, seq = _place(rows[limit - 1])
    return Page(rows[:limit], pb.EventPlace(time_us=time_us, seq=seq))


def _place(row: Logged) -> tuple[int, int]:
    return row.time_us, row.seq


class News(NamedTuple):
    """Rows that were not given before; the cursor behind which the next ones are; how many, about, were skipped."""

    rows: Sequence[Logged]
    cursor: int
    skipped: int


class Tail:
    """Which rows of the log are new to a follower, whatever the order in which their seqs become visible.

    `cursor`: every row up to it was given, skipped, or will never come. Rows behind it may have been given as well.
    """

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self._given: set[int] = set()
        self._gap_since_s: float | None = None

    def take(self, rows: Sequence[Logged], now_s: float) -> News:
        """`rows`: all that are visible behind the cursor, by seq."""
        new = [row for row in rows if row.seq not in self._given]
        self._given.update(row.seq for row in new)
        self._move_on()
        if not self._given:
            self._gap_since_s = None
        elif self._gap_since_s is None:
            self._gap_since_s = now_s
        elif now_s - self._gap_since_s > GAP_S:
            # A transaction that rolled back, or a row that was there already, leaves a number that nobody has.
            self.cursor = min(self._given) - 1
            self._move_on()
            self._gap_since_s = now_s if self._given else None
        return News(new, self.cursor, 0)

    def jump(self, newest: Sequence[Logged]) -> News:
        """Goes on with these, by seq, and skips all that is before them."""
        last = max(self._given, default=self.cursor)
        first = newest[0].seq
        new = [row for row in newest if row.seq not in self._given]
        self.cursor, self._given, self._gap_since_s = newest[-1].seq, set(), None
        return News(new, self.cursor, max(0, first - last - 1))

    def _move_on(self) -> None:
        while self.cursor + 1 in self._given:
            self.cursor += 1
            self._given.discard(self.cursor)


async def follow(commands: Commands, bell: Bell, after: int | None) -> AsyncIterator[News]:
    """What is stored behind `after`, or from now on. The first news may be empty, and tell the cursor only."""
    with bell.heard() as event:
        if after is None:
            newest = await commands.log("", "", None, 1, descending=True)
            after = newest[0].seq if newest else 0
            yield News((), after, 0)
        tail = Tail(after)
        while True:
            news = await _look(commands, tail)
            if news.rows or news.skipped:
                yield news
            await asyncio.sleep(PAUSE_S)
            await rung(event, LOOK_EVERY_S)


async def _look(commands: Commands, tail: Tail) -> News:
    rows = await commands.log("", "", tail.cursor, READ_MAX + 1)
    if len(rows) <= READ_MAX:
        return tail.take(rows, time.monotonic())
    newest = await commands.log("", "", None, READ_MAX, descending=True)
    newest.reverse()
    return tail.jump(newest)
