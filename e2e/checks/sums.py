"""Two checks of what orders share: pieces of a product and money of an account are neither made nor lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from e2e.checks import hops
from e2e.checks.facts import Event, Facts, Order, once_each
from e2e.checks.violation import Violation
from e2e.history import Balance, StockLevel

_money = partial(Violation, "money")
_KEPT_BY = {"stock": "inventory", "money": "payment"}

_MOVES: Mapping[str, tuple[int, int]] = {
    "StockOpened": (1, 0),
    "StockReplenished": (1, 0),
    "StockReserved": (-1, 1),
    "StockReturned": (1, -1),
    "StockDispatched": (0, -1),
}
"""What a piece of an event adds to available and to reserved."""


class Shelf:
    """The stock of one product, as its events add up so far."""

    def __init__(self) -> None:
        self._available = self._reserved = self._gone = 0
        self._broken = False

    def take(self, product: str, event: Event) -> str:
        """The product's next event; what is wrong then. Behind the first that is wrong nothing is looked at."""
        if event.body is None or self._broken:
            return ""
        quantity: int = event.body.quantity
        to_available, to_reserved = _MOVES.get(event.name, (0, 0))
        self._available += to_available * quantity
        self._reserved += to_reserved * quantity
        self._gone += quantity if event.name == "StockDispatched" else 0
        self._broken = self._available < 0 or self._reserved < 0
        if not self._broken:
            return ""
        return f"{event.name} leaves {self._available} of {product} available and {self._reserved} reserved"

    def at_end(self, product: str, level: StockLevel) -> str:
        """What is wrong with the level behind all events."""
        if self._broken:
            return ""
        has, due = level.available + level.reserved, level.initial + level.restocked - self._gone
        if has != due:
            return f"of {product} there are {has} pieces, and {due} by what came in and what left"
        if (level.available, level.reserved) != (self._available, self._reserved):
            return (
                f"of {product} {level.available} are available and {level.reserved} reserved, and by its events "
                f"{self._available} and {self._reserved}"
            )
        return f"of {product} there are less than none" if min(level.available, level.reserved) < 0 else ""


def stock(facts: Facts) -> Iterator[Violation]:
    """initial + restocked - committed = available + reserved of every product, by the events too; never negative."""
    for product, level in facts.history.stock.items():
        shelf = Shelf()
        for event in once_each(facts.entities.get(("inventory", f"stock/{product}"), ())):
            yield from moved_wrong("stock", facts.orders.get(event.order_id), event, shelf.take(product, event))
        yield from stands_wrong("stock", f"stock/{product}", shelf.at_end(product, level))


def moved_wrong(check: str, order: Order | None, event: Event, cause: str) -> Iterator[Violation]:
    """The violation at an event of something shared, if there is a cause."""
    if cause:
        yield Violation(check, event.order_id, hops.taken(order, event), event.service, cause)


def stands_wrong(check: str, entity: str, cause: str) -> Iterator[Violation]:
    """The violation at the end of something shared, if there is a cause."""
    if cause:
        service = _KEPT_BY[check]
        yield Violation(check, "", f"{service}: {entity}", service, cause)


def money(facts: Facts) -> Iterator[Violation]:
    """opening + deposits - balance = charges - refunds of every account; none is ever overdrawn.

    Charges and refunds are those that were published; each is one movement of its account.
    """
    net_minor = charged(facts)
    for user, account in facts.history.accounts.items():
        purse = Purse()
        for event in once_each(facts.entities.get(("payment", f"account/{user}"), ())):
            yield from moved_wrong("money", facts.orders.get(event.order_id), event, purse.take(user, event))
        for cause in purse.at_end(user, account, net_minor.get(user, 0)):
            yield from stands_wrong("money", f"account/{user}", cause)
    yield from _moved_once(facts)


def charged(facts: Facts) -> dict[str, int]:
    """User -> charges less refunds, in minor units, as they were published."""
    net_minor: dict[str, int] = {}
    for order in facts.orders.values():
        for name, sign in (("PaymentCompleted", 1), ("PaymentRefunded", -1)):
            for event in once_each(order.have(name)):
                if event.body is not None:
                    user = event.body.order.user_id
                    net_minor[user] = net_minor.get(user, 0) + sign * event.body.amount.amount_minor
    return net_minor


_INTO: Mapping[str, Callable[[Any], int]] = {
    "AccountOpened": lambda body: body.balance.amount_minor,
    "AccountCredited": lambda body: body.amount.amount_minor,
    "AccountDebited": lambda body: -body.amount.amount_minor,
}


class Purse:
    """The money of one account, as its movements add up so far."""

    def __init__(self) -> None:
        self._balance_minor = 0
        self._moved = self._broken = False

    def take(self, user: str, event: Event) -> str:
        """The account's next event; what is wrong then. Behind the first that is wrong nothing is looked at."""
        self._moved = True
        if event.body is None or self._broken:
            return ""
        self._balance_minor += _INTO[event.name](event.body) if event.name in _INTO else 0
        self._broken = self._balance_minor < 0
        return f"{event.name} leaves {self._balance_minor} in the account of {user}" if self._broken else ""

    def at_end(self, user: str, account: Balance, net_minor: int) -> Iterator[str]:
        """What is wrong with the balance behind all movements, and by what was published."""
        gone_minor = account.opening + account.deposited - account.balance
        if gone_minor != net_minor:
            yield f"{gone_minor} left the account of {user}, and its charges less its refunds are {net_minor}"
        if self._moved and not self._broken and account.balance != self._balance_minor:
            yield f"{user} has {account.balance}, and {self._balance_minor} by what has moved"


def _moved_once(facts: Facts) -> Iterator[Violation]:
    """What was published of an order is what its account has seen."""
    for order in facts.orders.values():
        for said, moved in (("PaymentCompleted", "AccountDebited"), ("PaymentRefunded", "AccountCredited")):
            said_minor, moved_minor = (
                sum(e.body.amount.amount_minor for e in once_each(order.have(name)) if e.body is not None)
                for name in (said, moved)
            )
            if said_minor != moved_minor:
                cause = f"{said} says {said_minor}, and {moved} {moved_minor}"
                yield _money(order.order_id, hops.hop_to(order, said), "payment", cause)
