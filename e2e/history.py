"""What happened to a shop, as plain data: what customers asked and saw, every Kafka record, every store, every fault.

A history is written by whoever ran the shop (a simulation, real processes) and read by the checks and by explanations.
None of these knows the others; this is all that they share. Times are in microseconds since 1970, of one clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Mode = Literal["choreographed", "orchestrated", "both"]
"""How the saga was coordinated; "both" if it was switched."""


class Accepted(msgspec.Struct, frozen=True):
    """An order that a customer was told is accepted. `items`: product -> quantity."""

    order_id: str
    user_id: str
    items: Mapping[str, int]
    at_us: int


class Observed(msgspec.Struct, frozen=True):
    """A document of an order as a customer saw it. `watch`: which of the customer's watches; what it saw is in order.

    seq: the number of facts known of the order
    status, reason: in HTTP's words, for example CANCELLED, OUT_OF_STOCK; reason is '' where there is none
    """

    order_id: str
    watch: str
    seq: int
    status: str
    reason: str
    at_us: int


class Published(msgspec.Struct, frozen=True):
    """A Kafka record. `source` is the service that said it; all headers that are missing are ''.

    time_us: when it happened, by the clock of who said it; 0 if that is missing
    """

    topic: str
    partition: int
    offset: int
    key: str
    type: str
    message_id: str
    cause_id: str
    source: str
    time_us: int
    payload: bytes


class Stored(msgspec.Struct, frozen=True):
    """An event of a service's store. `topic` is None for a private one."""

    service: str
    seq: int
    entity: str
    version: int
    type: str
    message_id: str
    cause_id: str
    topic: str | None
    key: str
    time_us: int
    payload: bytes


class StockLevel(msgspec.Struct, frozen=True):
    """Of a product, in pieces. `initial`: by the catalogue; `restocked`: by what operators were answered."""

    initial: int
    restocked: int
    available: int
    reserved: int


class Balance(msgspec.Struct, frozen=True):
    """Of an account, in minor units. `deposited`: by what operators were answered."""

    opening: int
    deposited: int
    balance: int


class StatusAtEnd(msgspec.Struct, frozen=True):
    """What the status read model says of an order when all is at rest, in the words of `Observed`."""

    status: str
    reason: str
    seq: int


class Poisoned(msgspec.Struct, frozen=True):
    """A record that was made unreadable on purpose: where it stands, and the services that must dead-letter it."""

    topic: str
    partition: int
    offset: int
    services: Sequence[str]


class DealtWith(msgspec.Struct, frozen=True):
    """A dead letter that an operator has replayed or discarded."""

    service: str
    dead_letter_id: str


class FaultSpan(msgspec.Struct, frozen=True):
    """Something was broken from `from_us` until it was whole again at `to_us`."""

    kind: str
    target: str
    from_us: int
    to_us: int


class History(msgspec.Struct):
    """All of it, taken when the shop was at rest.

    deadline_us: after which an open order is asked to stop
    accepted:    every order that was accepted, by id
    published:   all records of all topics, each partition in order
    stored:      all events of all stores, each store in order
    stock, accounts: by product, by user
    statuses:    by order
    """

    mode: Mode
    deadline_us: int
    ended_us: int
    accepted: dict[str, Accepted] = {}
    observed: list[Observed] = []
    published: list[Published] = []
    stored: list[Stored] = []
    stock: dict[str, StockLevel] = {}
    accounts: dict[str, Balance] = {}
    statuses: dict[str, StatusAtEnd] = {}
    poisoned: list[Poisoned] = []
    dealt_with: list[DealtWith] = []
    faults: list[FaultSpan] = []
