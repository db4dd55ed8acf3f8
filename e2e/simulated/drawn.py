"""Scenarios by the thousand: a generator of random numbers draws one at a time, with every kind of order and fault."""

import random
from collections.abc import Callable
from typing import get_args

from e2e.simulated.scenario import (
    STOCK,
    Deposit,
    Fault,
    Kill,
    KillAt,
    Order,
    Poison,
    PoisonKind,
    Redeliver,
    Restock,
    Scenario,
    Skew,
    Stop,
    Unreachable,
)
from services import topics
from services.engine.faults import Point
from services.saga import PUBLIC, Mode

USERS = ("ann", "bob", "cleo", "dan")
POINTS = get_args(Point)
SERVICES = tuple(name for name in topics.SERVICES if name != "orchestrator")
PARTICIPANTS = ("order", *topics.ORCHESTRATED)
"""Who is struck most: all others only read along."""
TYPES = tuple(PUBLIC)
KINDS = get_args(PoisonKind)

PIECES = (1, 1, 1, 1, 2, 2, 3, 5, 10, 21)
"""More than 20 are no parcel."""
AT_MS = 400
"""Most of what happens begins within so much time, so that it happens at once."""
FAULTS_MAX = 5


def draw(choose: random.Random, mode: Mode, orders: int) -> Scenario:
    """A scenario with so many orders, on little stock and few accounts, and with some faults."""
    services = (*SERVICES, "orchestrator") if mode == "orchestrated" else SERVICES
    return Scenario(
        mode=mode,
        orders=[_order(choose) for _ in range(orders)],
        stock={product: choose.choice((2, 30, 100, 300)) for product in STOCK},
        restocks=[Restock(choose.choice(tuple(STOCK)), 5, _at(choose)) for _ in range(choose.randrange(3))],
        deposits=[Deposit(choose.choice(USERS), 50_000, _at(choose)) for _ in range(choose.randrange(3))],
        faults=[_fault(choose, services, orders) for _ in range(choose.randint(0, FAULTS_MAX))],
        slow=choose.random() < 0.5,
    )


def _at(choose: random.Random) -> int:
    return choose.randrange(AT_MS)


def _order(choose: random.Random) -> Order:
    products = choose.sample(tuple(STOCK), choose.choice((1, 1, 1, 2, 3)))
    cancel_after_ms = choose.choice((0, 5, 50, 500, 5000)) if choose.random() < 0.3 else None
    items = {product: choose.choice(PIECES) for product in products}
    return Order(choose.choice(USERS), items, _at(choose), cancel_after_ms, watched=choose.random() < 0.5)


def _fault(choose: random.Random, services: tuple[str, ...], orders: int) -> Fault:
    service = choose.choice(PARTICIPANTS if choose.random() < 0.6 else services)
    makers: tuple[Callable[[], Fault], ...] = (
        lambda: KillAt(service, choose.choice(POINTS), choose.randint(1, 15)),
        lambda: KillAt(service, choose.choice(POINTS), choose.randint(1, 15)),
        lambda: Kill(service, _at(choose)),
        lambda: Stop(service, _at(choose), choose.choice((10, 1000, 10_000, 40_000))),
        lambda: Redeliver(service, _at(choose), choose.randint(1, 50)),
        lambda: Unreachable(service, choose.randint(1, 10), choose.randrange(6), choose.randrange(6)),
        lambda: Poison(choose.choice(TYPES), _at(choose), choose.randrange(orders), choose.choice(KINDS)),
        lambda: Skew(service, choose.randint(-4000, 4000)),
    )
    return choose.choice(makers)()
