"""Who orders what: the same sequence for the generator, which sends it, and for the check, which counts it.

Drawn once by a seed, then repeated. No import of the system under test: the generator's process stays small.
"""

from __future__ import annotations

import random
from typing import NamedTuple

DIFFERENT = 10_007
"""How many orders are drawn before they repeat; a prime, so that nothing else repeats in step with it."""


class Basket(NamedTuple):
    """One order: one piece of one product."""

    user: str
    product: str


def draw(users: int, products: list[str], seed: int = 1) -> list[Basket]:
    """Order n of a run is `draw(...)[n % DIFFERENT]`."""
    chance = random.Random(seed)
    return [Basket(f"bench-{chance.randrange(users)}", chance.choice(products)) for _ in range(DIFFERENT)]


def request(basket: Basket, host: str) -> bytes:
    """The whole HTTP request of an order."""
    body = f'{{"userId":"{basket.user}","items":[{{"productId":"{basket.product}","quantity":1}}]}}'
    head = (
        f"POST /order HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()
