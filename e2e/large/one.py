"""One order out of a shop of any size: its history, and what is wrong with it in what orders share."""

from __future__ import annotations

import time

from e2e.checks.facts import Facts, decode
from e2e.checks.shared import Shared, is_shared
from e2e.checks.violation import Violation
from e2e.history import History, Mode, Published, Stored
from e2e.large import key_of
from e2e.reading import Part, add, complete


class OfOrder:
    """Keeps an order's parts as they come, and folds the stock and its user's account past it."""

    def __init__(self, order_id: str, deadline_us: int) -> None:
        self._order_id = order_id
        self._deadline_us = deadline_us
        self.begin("choreographed", 0)

    def begin(self, mode: Mode, records: int) -> None:
        del records
        self.history = History(mode, self._deadline_us, time.time_ns() // 1000)
        self.wrong = list[Violation]()
        self._user = ""
        self._shared = Shared(Facts(self.history).setting)

    def take(self, part: Part) -> None:
        if key_of(part) == self._order_id:
            add(self.history, part)
            if isinstance(part, Published) and not self._user:
                order = getattr(decode(part.type, part.payload)[1], "order", None)
                self._user = order.user_id if order else ""
        if isinstance(part, Stored) and is_shared(part) and self._touches(part):
            self.wrong += [found for found in self._shared.take(part) if found.order_id == self._order_id]

    def done(self) -> bool:
        """When all parts were taken: whether there is such an order."""
        complete(self.history)
        return bool(self.history.published or self.history.stored)

    def _touches(self, row: Stored) -> bool:
        """Topics come before stores, so what is published of an order has said whose it is."""
        return row.entity.startswith("stock/") or row.entity == f"account/{self._user}"
