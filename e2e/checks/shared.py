"""What orders share, row by row: stock and accounts of a shop that is too large to be held at once.

The same as "stock", "money" and the versions of "effects-once" say of a whole history, for the products and accounts
that it is given. It keeps a few numbers of each, however many rows they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from e2e.checks import hops
from e2e.checks.facts import Event, Order, Setting, event_of
from e2e.checks.sums import Purse, Shelf, moved_wrong, stands_wrong
from e2e.checks.violation import Violation
from e2e.history import Balance, StockLevel, Stored

KINDS = ("stock", "account")
"""Of entities that orders share."""


def is_shared(row: Stored) -> bool:
    return row.entity.partition("/")[0] in KINDS


class Shared:
    """Folds the rows of shared entities; each entity's in the order of its versions."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._shelves: dict[str, Shelf] = {}
        self._purses: dict[str, Purse] = {}
        self._versions: dict[str, int] = {}

    def take(self, row: Stored) -> Iterator[Violation]:
        event = event_of(row)
        order = Order(event.order_id, self._setting) if event.order_id else None
        yield from self._follows(row, order, event)
        kind, _, name = row.entity.partition("/")
        if kind == "stock":
            cause = self._shelves.setdefault(name, Shelf()).take(name, event)
            yield from moved_wrong("stock", order, event, cause)
        else:
            cause = self._purses.setdefault(name, Purse()).take(name, event)
            yield from moved_wrong("money", order, event, cause)

    def _follows(self, row: Stored, order: Order | None, event: Event) -> Iterator[Violation]:
        """Versions are 1 to n; behind the first gap they are not looked at."""
        due = self._versions.get(row.entity, 0) + 1
        if due <= 0:
            return
        self._versions[row.entity] = due
        if row.version != due:
            self._versions[row.entity] = -1
            cause = f"{row.entity} has version {row.version} where {due} should be"
            yield Violation("effects-once", event.order_id, hops.taken(order, event), row.service, cause)

    def at_end(
        self, levels: Mapping[str, StockLevel], accounts: Mapping[str, Balance], net_minor: Mapping[str, int]
    ) -> Iterator[Violation]:
        """When all rows were taken. net_minor: of each user, charges less refunds"""
        for product, level in levels.items():
            shelf = self._shelves.get(product, Shelf())
            yield from stands_wrong("stock", f"stock/{product}", shelf.at_end(product, level))
        for user, account in accounts.items():
            for cause in self._purses.get(user, Purse()).at_end(user, account, net_minor.get(user, 0)):
                yield from stands_wrong("money", f"account/{user}", cause)
