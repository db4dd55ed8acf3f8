"""What a check says when it finds something wrong."""

from __future__ import annotations

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """Something that must never be.

    check:    the name of the check that found it
    order_id: of the order, '' if it is of none
    hop:      the first hop that is missing or too much, in words of the saga table:
              "payment: InventoryConfirmed -> PaymentCompleted"
    service:  where it shows
    cause:    one sentence
    """

    check: str
    order_id: str
    hop: str
    service: str
    cause: str

    def __str__(self) -> str:
        about = f"order {self.order_id}" if self.order_id else "no order"
        return f"{self.check}: {about}, {self.service}, {self.hop}: {self.cause}"
