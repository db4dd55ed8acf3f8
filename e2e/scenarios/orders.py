"""The orders of scenarios: one for each way that an order can go, by data alone; and what is drawn of them.

They ask for no more than the catalogue that every shop opens with, of which operators put enough on the shelves.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from e2e.substrates.substrate import Ending, Order, Substrate

FINE = Order({"product-1": 1})
TOO_MANY = Order({"product-2": 1000})
TOO_DEAR = Order({"product-3": 20})
TOO_LARGE = Order({"product-1": 21})
COMPLETED = Ending("COMPLETED")
ENDINGS = (
    (FINE, COMPLETED),
    (TOO_MANY, Ending("CANCELLED", "OUT_OF_STOCK")),
    (TOO_DEAR, Ending("CANCELLED", "INSUFFICIENT_FUNDS")),
    (TOO_LARGE, Ending("CANCELLED", "SHIPMENT_FAILED")),
)
"""How each must end, as long as the shelves are full."""
SHELVES: Mapping[str, int] = {"product-1": 10_000, "product-3": 100}
"""Pieces that are put there before a scenario; product-2 stays what there is little of."""


def fill_shelves(shop: Substrate) -> None:
    for product, pieces in SHELVES.items():
        shop.restock(product, pieces)


class Draw(random.Random):
    """Whatever a scenario leaves open, by the run's seed and the scenario's own name."""

    def order(self) -> Order:
        """Most can be had; half of them are watched."""
        order = FINE if self.random() < 0.7 else self.choice([TOO_MANY, TOO_DEAR, TOO_LARGE])
        return order._replace(watched=self.random() < 0.5)
