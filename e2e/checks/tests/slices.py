"""A history in parts, as they would be read of a shop that is too large to be held at once."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from e2e.checks.facts import decode, order_of
from e2e.history import History, Published, Stored


def by_user(history: History) -> Iterator[History]:
    """The users with all of their orders; no product's level."""
    for user, balance in history.accounts.items():
        orders = {each.order_id for each in history.accepted.values() if each.user_id == user}
        yield replace(
            history,
            accepted={order_id: history.accepted[order_id] for order_id in orders},
            observed=[each for each in history.observed if each.order_id in orders],
            published=[each for each in history.published if _is_of(each, orders)],
            stored=[each for each in history.stored if each.entity == f"account/{user}" or _is_of(each, orders)],
            stock={},
            accounts={user: balance},
            statuses={order_id: history.statuses[order_id] for order_id in orders & history.statuses.keys()},
            poisoned=[
                each
                for each in history.poisoned
                if any(r.key in orders and (r.topic, r.offset) == (each.topic, each.offset) for r in history.published)
            ],
        )


def by_product(history: History) -> Iterator[History]:
    """The rows and records of a product's stock, without the orders."""
    for product, level in history.stock.items():
        yield History(
            history.mode,
            history.deadline_us,
            history.ended_us,
            stored=[each for each in history.stored if each.entity == f"stock/{product}"],
            published=[each for each in history.published if each.key == product],
            stock={product: level},
        )


def _is_of(row: Published | Stored, orders: set[str]) -> bool:
    return row.key in orders or order_of(decode(row.type, row.payload)[1]) in orders
