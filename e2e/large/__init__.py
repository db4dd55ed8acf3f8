"""All nine checks over a shop of any size, in memory that does not grow with it: what was read is filed on disk.

Each order is in one slice with all of its rows, records, documents and dead letters; slices are checked one after the
other as histories. What orders share, the stock of products and the money of accounts, is folded row by row, in parts
by product and user. What is not compared across slices: whether one message id stands for two events of different
orders.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from e2e.checks import CHECKS, violations
from e2e.checks.facts import Facts, decode, event_of, order_of
from e2e.checks.shared import Shared, is_shared
from e2e.checks.sums import charged
from e2e.checks.violation import Violation
from e2e.history import Balance, History, Mode, Published, StockLevel, Stored
from e2e.large.spill import Spill
from e2e.reading import CameIn, Holding, Letter, Level, Part, Shown, add, complete

RECORDS_A_SLICE = 15_000
"""Of the topics, some 1,200 orders: about as many rows of stores come to them, and twice as many private ones."""
SHOWN_MAX = 1_000
"""Violations that are kept; more are only counted."""
_KINDS = (Published, Stored, Letter, Shown)
"""Of what a slice of orders has."""


def key_of(part: Part) -> str:
    """The order that a part is of, or else whatever it belongs to; '' of what is of no slice of orders."""
    match part:
        case Published():
            return order_of(decode(part.type, part.payload)[1]) or part.key or part.message_id
        case Stored():
            return event_of(part).order_id or part.key or part.message_id
        case Letter():
            return part.key
        case Shown():
            return part.order_id
        case Level() | Holding():
            return ""


class _Charged(NamedTuple):
    """Of one slice: a user's charges less refunds."""

    user: str
    net_minor: int


class Verdict(NamedTuple):
    """What came of it. `violations`: the first ones; `counts`: of all, by check, in the order of the checks."""

    orders: int
    violations: list[Violation]
    counts: dict[str, int]


class Filed:
    """A shop's parts as they come, filed in slices. `records_a_slice` is how large one gets, about."""

    def __init__(self, spill: Spill, deadline_us: int, records_a_slice: int = RECORDS_A_SLICE) -> None:
        self._spill = spill
        self._deadline_us = deadline_us
        self._records_a_slice = records_a_slice
        self._mode: Mode = "choreographed"
        self._ended_us = 0
        self.slices = 1

    def begin(self, mode: Mode, records: int) -> None:
        self._spill.clear()
        self._mode, self._ended_us = mode, time.time_ns() // 1000
        self.slices = 1 + records // self._records_a_slice

    def take(self, part: Part) -> None:
        key = key_of(part)
        if key:
            self._spill.add(type(part).__name__, self._number(key), part)
        match part:
            case Stored() if is_shared(part):
                self._file_shared(part.entity, part)
            case Level():
                self._file_shared(f"stock/{part.product}", part)
            case Holding():
                self._file_shared(f"account/{part.user}", part)
            case _:
                pass

    def check(self, tell: Callable[[str], None]) -> Verdict:
        """Everything that was filed. tell: is given a line for each slice"""
        tell(f"{self._spill.added_bytes / 1e6:,.1f} MB filed on disk, {self.slices} slices")
        shown, counts, orders = list[Violation](), Counter[str](), 0
        setting = Facts(self._history()).setting

        def note(found: Iterator[Violation]) -> None:
            for violation in found:
                counts[violation.check] += 1
                if len(shown) < SHOWN_MAX:
                    shown.append(violation)

        for number in range(self.slices):
            history = self._slice(number)
            orders += len(history.accepted)
            facts = Facts(history)
            note(violations(facts))
            for user, net_minor in charged(facts).items():
                self._file_shared(f"account/{user}", _Charged(user, net_minor))
            tell(f"slice {number + 1} of {self.slices}: {orders} orders so far, {counts.total()} violations")
        for number in range(self.slices):
            note(self._shared(number, Shared(setting)))
        shown.sort(key=lambda violation: CHECKS.index(violation.check))
        return Verdict(orders, shown, {name: counts[name] for name in CHECKS})

    def _slice(self, number: int) -> History:
        history = self._history()
        for kind in _KINDS:
            for part in self._spill.rows(kind.__name__, number, kind):
                add(history, part)
        complete(history)
        return history

    def _shared(self, number: int, shared: Shared) -> Iterator[Violation]:
        came = CameIn()
        for row in self._spill.rows("shared-Stored", number, Stored):
            came.take(row)
            yield from shared.take(row)
        levels = {
            level.product: came.level(level.product, StockLevel(0, 0, level.available, level.reserved))
            for level in self._spill.rows("shared-Level", number, Level)
        }
        accounts = {
            held.user: came.balance(held.user, Balance(0, 0, held.balance))
            for held in self._spill.rows("shared-Holding", number, Holding)
        }
        net_minor = Counter[str]()
        for part in self._spill.rows("shared-_Charged", number, _Charged):
            net_minor[part.user] += part.net_minor
        yield from shared.at_end(levels, accounts, net_minor)

    def _history(self) -> History:
        return History(self._mode, self._deadline_us, self._ended_us)

    def _file_shared(self, entity: str, part: Part | _Charged) -> None:
        self._spill.add(f"shared-{type(part).__name__}", self._number(entity), part)

    def _number(self, key: str) -> int:
        """The same for the same key, now and in another process."""
        return zlib.crc32(key.encode()) % self.slices
