"""A right shop of any size, part by part: copies of seven orders of four users and one product, renamed.

`python -m e2e.large.shop COPIES [RECORDS_A_SLICE]` checks one and says what that took, the peak of its memory last.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace
from shop.common.v1.common_pb2 import Money
from shop.inventory.v1.events_pb2 import StockOpened
from shop.payment.v1.events_pb2 import AccountOpened

from e2e.checks.tests.shop import COMPLETED, DEADLINE_US, OPENING_MINOR, PRODUCT, STOCK, right_history
from e2e.history import Published, Stored
from e2e.large import RECORDS_A_SLICE, Filed
from e2e.large.spill import Spill
from e2e.reading import Holding, Level, Part, Shown

ORDERS = 7
"""A copy has."""
_PREFIX = COMPLETED[:8]
"""Of all ids of orders and messages; a copy has its number there."""
_ONCE = frozenset(cls.DESCRIPTOR.full_name for cls in (StockOpened, AccountOpened))

Row = TypeVar("Row", Published, Stored)


def parts(copies: int) -> Iterator[Part]:
    """Everything that would be read of it, each partition and each store in order."""
    history = right_history()
    said, moved = Counter(row.topic for row in history.published), _versions(history.stored)
    for copy in range(copies):
        for record in history.published:
            yield replace(_renamed(record, copy), offset=record.offset + copy * said[record.topic])
    for copy in range(copies):
        for row in history.stored:
            if row.type in _ONCE:
                if copy == 0:
                    yield replace(row, payload=_opened(row, copies))
            elif row.entity in moved:
                yield replace(_renamed(row, copy), version=row.version + copy * moved[row.entity])
            else:
                yield _renamed(row, copy)
    kept = {user: account.opening - account.balance for user, account in history.accounts.items()}
    for product, level in history.stock.items():
        yield Level(product, copies * level.available, 0)
    for user, minor in kept.items():
        yield Holding(user, copies * (OPENING_MINOR - minor))
    for copy in range(copies):
        for order_id, status in history.statuses.items():
            yield Shown(order_id.replace(_PREFIX, _name(copy)), status)


def _versions(rows: list[Stored]) -> Counter[str]:
    """How often each entity that orders share moves in a copy."""
    return Counter(
        row.entity for row in rows if row.entity.startswith(("stock/", "account/")) and row.type not in _ONCE
    )


def _opened(row: Stored, copies: int) -> bytes:
    if row.entity == f"stock/{PRODUCT}":
        return StockOpened(product_id=PRODUCT, quantity=STOCK * copies).SerializeToString()
    balance = Money(amount_minor=OPENING_MINOR * copies, currency="USD")
    return AccountOpened(user_id=row.key, balance=balance).SerializeToString()


def _name(copy: int) -> str:
    return f"{copy:0{len(_PREFIX)}x}"


def _renamed(row: Row, copy: int) -> Row:
    name = _name(copy)
    fields = {
        field: getattr(row, field).replace(_PREFIX, name)
        for field in ("entity", "key", "message_id", "cause_id")
        if hasattr(row, field)
    }
    return replace(row, **fields, payload=row.payload.replace(_PREFIX.encode(), name.encode()))


def main() -> int:
    copies, records_a_slice = (*map(int, sys.argv[1:]), RECORDS_A_SLICE)[:2]
    with tempfile.TemporaryDirectory() as folder:
        spill = Spill(Path(folder))
        filed, began = Filed(spill, DEADLINE_US, records_a_slice), time.monotonic()
        filed.begin("choreographed", copies * len(right_history().published))
        for part in parts(copies):
            filed.take(part)
        verdict = filed.check(lambda _: None)
        took_s, cpu_s = time.monotonic() - began, time.process_time()
        print(f"{verdict.orders:,} orders in {filed.slices} slices, {sum(verdict.counts.values())} violations")
        print(f"{took_s:.0f} s, {cpu_s:.0f} s of CPU; {spill.added_bytes / 1e6:,.0f} MB on disk; peak, in KB:")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1))
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
