"""What is walked: one order of each kind, two orders over the last piece, two over one account; in each mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shop.common.v1.common_pb2 import OrderItem
from shop.order.v1.service_pb2 import CancelOrderRequest, PlaceOrderRequest

from e2e.explored.worlds import Asking
from e2e.history import Accepted
from e2e.simulated.scenario import START_US
from services.saga import Mode
from services.topics import ORCHESTRATED

PARTICIPANTS = ("order", *ORCHESTRATED, "orchestrator")
"""Who decides how an order ends. What all others do nobody waits for."""
ALONG = ("notification", "status")
DEADLINE_S = 30.0


class Order(NamedTuple):
    """`user` orders `pieces` of the one product, which costs 30.00; may ask to cancel it, or never does."""

    user: str
    pieces: int
    may_cancel: bool = True


class Situation(NamedTuple):
    """stock: pieces of the product; crashes: so many at most, unless the caller says otherwise.

    late:          services whose timers fire only when nobody has anything to read
    whole_batches: a service may also read all that waits for it in one batch
    """

    orders: Sequence[Order]
    stock: int = 100
    crashes: int = 2
    late: Sequence[str] = ("shipping",)
    whole_batches: bool = True

    def order_id(self, n: int) -> str:
        """A UUIDv7."""
        ms = f"{START_US // 1000:012x}"
        return f"{ms[:8]}-{ms[8:]}-7000-8000-{n:012x}"

    @property
    def order_ids(self) -> list[str]:
        return [self.order_id(n) for n in range(len(self.orders))]

    @property
    def asking(self) -> list[Asking]:
        places = [Asking(f"place {n}", "order") for n in range(len(self.orders))]
        cancels = [
            Asking(f"cancel {n}", "order", f"place {n}", must=False)
            for n, order in enumerate(self.orders)
            if order.may_cancel
        ]
        return [*places, *cancels]

    def requests(self) -> Mapping[str, tuple[str, Any]]:
        """By name: the id of the message, and what it asks."""
        found: dict[str, tuple[str, Any]] = {}
        for n, order in enumerate(self.orders):
            order_id = self.order_id(n)
            items = [OrderItem(product_id=PRODUCT, quantity=order.pieces)]
            place = PlaceOrderRequest(
                order_id=order_id, user_id=order.user, items=items, delivery_address="1 Road", accepted_us=START_US
            )
            found[f"place {n}"] = order_id, place
            found[f"cancel {n}"] = order_id, CancelOrderRequest(order_id=order_id)
        return found

    def accepted(self) -> dict[str, Accepted]:
        return {
            f"place {n}": Accepted(self.order_id(n), order.user, {PRODUCT: order.pieces}, START_US)
            for n, order in enumerate(self.orders)
        }


PRODUCT = "product-1"
_LATE = ("shipping", "order")


def _two(user: str, other: str, pieces: int, stock: int) -> Mapping[str, Situation]:
    """Two orders that cannot both have what they want."""
    first, second = Order(user, pieces, False), Order(other, pieces, False)
    return {
        "two orders": Situation([first, second], stock, 1, _LATE, False),
        "two orders, one of which may be cancelled": Situation(
            [first._replace(may_cancel=True), second], stock, 0, _LATE, False
        ),
    }


SITUATIONS: Mapping[str, Mapping[str, Situation]] = {
    "one-order": {
        "one that completes": Situation([Order("ann", 2)]),
        "one that is out of stock": Situation([Order("ann", 2)], stock=1),
        "one beyond the account": Situation([Order("ann", 34)]),
        "one too large for a parcel": Situation([Order("ann", 21)]),
    },
    "last-unit": _two("ann", "bob", 1, 1),
    "one-account": _two("ann", "ann", 20, 100),
}
MODES: tuple[Mode, ...] = ("choreographed", "orchestrated")
