"""What is done to a simulated shop, as plain data: orders, requests of operators, faults; times from the beginning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from services.engine.faults import Point
from services.saga import Mode

START_US = 1_750_000_000_000_000
"""When every simulated shop opens."""
STOCK = {"product-1": 100, "product-2": 50, "product-3": 25}


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """A customer places an order; asks to cancel it some time after it was accepted, or not; watches it, or not."""

    user: str
    items: Mapping[str, int]
    at_ms: int = 0
    cancel_after_ms: int | None = None
    watched: bool = True


class Restock(msgspec.Struct, frozen=True):
    product: str
    quantity: int
    at_ms: int = 0


class Deposit(msgspec.Struct, frozen=True):
    user: str
    amount_minor: int
    at_ms: int = 0


class KillAt(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="fault", tag="kill-at"):
    """The service dies at the `nth` time that one of its batches with a message of `type` ('' is any) is at `point`."""

    service: str
    point: Point
    nth: int = 1
    type: str = ""


class Kill(msgspec.Struct, frozen=True, tag_field="fault", tag="kill"):
    """The service dies between two batches."""

    service: str
    at_ms: int


class Stop(msgspec.Struct, frozen=True, tag_field="fault", tag="stop"):
    """The service is stopped in order, and started again."""

    service: str
    at_ms: int
    for_ms: int


class Redeliver(msgspec.Struct, frozen=True, tag_field="fault", tag="redeliver"):
    """The service gets the last `back` records of each of its partitions again."""

    service: str
    at_ms: int
    back: int


class Unreachable(msgspec.Struct, frozen=True, tag_field="fault", tag="unreachable"):
    """At the service's `nth` publishing the broker takes `taken` events, acknowledges some of them, and is away."""

    service: str
    nth: int
    taken: int
    acknowledged: int


PoisonKind = Literal["garbage", "empty", "no-type", "no-id", "no-time"]


class Poison(msgspec.Struct, frozen=True, tag_field="fault", tag="poison"):
    """A record that claims to be an event of `type`, of the order with the number `order`, and cannot be decoded."""

    type: str
    at_ms: int
    order: int
    kind: PoisonKind


class Skew(msgspec.Struct, frozen=True, tag_field="fault", tag="skew"):
    """The service's clock is so far before the others', or behind."""

    service: str
    by_ms: int


Fault = KillAt | Kill | Stop | Redeliver | Unreachable | Poison | Skew


class Scenario(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run is made of, with a seed for all that is not in here.

    stock: what each product opens with; an order of any other product is refused
    slow:  whether services may be so slow that deadlines pass
    """

    mode: Mode = "choreographed"
    orders: Sequence[Order] = ()
    stock: Mapping[str, int] = msgspec.field(default_factory=lambda: dict(STOCK))
    restocks: Sequence[Restock] = ()
    deposits: Sequence[Deposit] = ()
    faults: Sequence[Fault] = ()
    deadline_s: float = 30.0
    slow: bool = False

    def order_id(self, number: int) -> str:
        """The id that the customer gives to the order with this number: a UUIDv7 of its time."""
        ms = f"{START_US // 1000 + self.orders[number].at_ms:012x}"
        return f"{ms[:8]}-{ms[8:]}-7000-8000-{number:012x}"
