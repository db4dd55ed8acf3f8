"""Two checks of what orders share: pieces of a product and money of an account are neither made nor lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from e2e.checks import hops
from e2e.checks.facts import Facts, once_each
from e2e.checks.violation import Violation
from e2e.history import Balance, StockLevel

_stock = partial(Violation, "stock")
_money = partial(Violation, "money")

_MOVES: Mapping[str, tuple[int, int]] = {
    "StockOpened": (1, 0),
    "StockReplenished": (1, 0),
    "StockReserved": (-1, 1),
    "StockReturned": (1, -1),
    "StockDispatched": (0, -1),
}
"""What a piece of an event adds to available and to reserved."""


def stock(facts: Facts) -> Iterator[Violation]:
    """initial + restocked - committed = available + reserved of every product, by the events too; never negative."""
    for product, level in facts.history.stock.items():
        yield from _product(facts, product, level)


def _product(facts: Facts, product: str, level: StockLevel) -> Iterator[Violation]:
    available = reserved = gone = 0
    for event in once_each(facts.entities.get(("inventory", f"stock/{product}"), ())):
        if event.body is None:
            continue
        quantity: int = event.body.quantity
        to_available, to_reserved = _MOVES.get(event.name, (0, 0))
        available += to_available * quantity
        reserved += to_reserved * quantity
        gone += quantity if event.name == "StockDispatched" else 0
        if available < 0 or reserved < 0:
            cause = f"{event.name} leaves {available} of {product} available and {reserved} reserved"
            yield _stock(event.order_id, hops.taken(facts.orders.get(event.order_id), event), "inventory", cause)
            return
    has, due = level.available + level.reserved, level.initial + level.restocked - gone
    if has != due:
        cause = f"of {product} there are {has} pieces, and {due} by what came in and what left"
        yield _stock("", f"inventory: stock/{product}", "inventory", cause)
    elif (level.available, level.reserved) != (available, reserved):
        cause = (
            f"of {product} {level.available} are available and {level.reserved} reserved, and by its events "
            f"{available} and {reserved}"
        )
        yield _stock("", f"inventory: stock/{product}", "inventory", cause)
    elif min(level.available, level.reserved) < 0:
        yield _stock("", f"inventory: stock/{product}", "inventory", f"of {product} there are less than none")


def money(facts: Facts) -> Iterator[Violation]:
    """opening + deposits - balance = charges - refunds of every account; none is ever overdrawn.

    Charges and refunds are those that were published; each is one movement of its account.
    """
    net_minor: dict[str, int] = {}
    for order in facts.orders.values():
        for name, sign in (("PaymentCompleted", 1), ("PaymentRefunded", -1)):
            for event in once_each(order.have(name)):
                if event.body is not None:
                    user = event.body.order.user_id
                    net_minor[user] = net_minor.get(user, 0) + sign * event.body.amount.amount_minor
    for user, account in facts.history.accounts.items():
        yield from _account(user, account, net_minor.get(user, 0))
        yield from _movements(facts, user, account)
    yield from _moved_once(facts)


def _account(user: str, account: Balance, net_minor: int) -> Iterator[Violation]:
    gone_minor = account.opening + account.deposited - account.balance
    if gone_minor != net_minor:
        cause = f"{gone_minor} left the account of {user}, and its charges less its refunds are {net_minor}"
        yield _money("", f"payment: account/{user}", "payment", cause)


_INTO: Mapping[str, Callable[[Any], int]] = {
    "AccountOpened": lambda body: body.balance.amount_minor,
    "AccountCredited": lambda body: body.amount.amount_minor,
    "AccountDebited": lambda body: -body.amount.amount_minor,
}


def _movements(facts: Facts, user: str, account: Balance) -> Iterator[Violation]:
    balance_minor = 0
    events = facts.entities.get(("payment", f"account/{user}"), [])
    for event in once_each(events):
        if event.body is not None and event.name in _INTO:
            balance_minor += _INTO[event.name](event.body)
        if balance_minor < 0:
            cause = f"{event.name} leaves {balance_minor} in the account of {user}"
            yield _money(event.order_id, hops.taken(facts.orders.get(event.order_id), event), "payment", cause)
            return
    if events and account.balance != balance_minor:
        cause = f"{user} has {account.balance}, and {balance_minor} by what has moved"
        yield _money("", f"payment: account/{user}", "payment", cause)


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
