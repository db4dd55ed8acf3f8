"""The count at the end: nothing is lost and nothing happened twice, order by order, product by product, user by user.

Every accepted order has ended once, by the topic `orders`. What each product lost is what was completed of it, what
each account lost is what its completed orders cost, by inventory and payment themselves. Nothing is reserved.
Pure: it is given what was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.baskets import Basket
from bench.endings import Ledger
from bench.goods import Counted
from bench.measuring import Order
from bench.results import Check

SHOWN = 10


def counted(orders: Sequence[Order], ledger: Ledger, before: Counted, after: Counted, drawn: Sequence[Basket]) -> Check:
    """Of all accepted orders; `drawn` has their baskets, `before` and `after` were counted at rest."""
    found, wrong = ledger.endings, list(ledger.contradictions)
    ours = {order.order_id: drawn[order.n % len(drawn)] for order in orders}
    if len(ours) != len(orders):
        wrong.append(f"{len(orders) - len(ours)} order ids were given out twice")
    if lost := ours.keys() - found.keys():
        wrong.append(f"{len(lost)} accepted orders have not ended, for example {min(lost).decode()}")
    unknown = ledger.created - ours.keys()
    if unended := unknown - found.keys():
        wrong.append(f"{len(unended)} orders exist that were not answered with 202, and have not ended")
    if from_nowhere := found.keys() - ledger.created:
        wrong.append(f"{len(from_nowhere)} orders have ended that were never created")
    completed = {order_id for order_id, ending in found.items() if ending.completed}
    baskets = [ours.get(order_id) or ledger.basket(order_id) for order_id in completed & ledger.created]
    wrong += differences(before, after, baskets)
    return Check(
        accepted=len(ours),
        completed=len(completed & ours.keys()),
        cancelled=dict(ledger.reasons),
        unanswered=len(unknown),
        repeated_records=ledger.repeats,
        wrong=wrong[:SHOWN] + ([f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []),
    )


def differences(before: Counted, after: Counted, completed: Iterable[Basket]) -> list[str]:
    """What does not add up, given the baskets of all orders that completed between the two counts."""
    sold, spent = Counter[str](), Counter[str]()
    for basket in completed:
        sold[basket.product] += 1
        spent[basket.user] += before.stock[basket.product].price_minor
    wrong = list[str]()
    for product, stock in after.stock.items():
        was = before.stock[product]
        if stock.reserved != was.reserved:
            wrong.append(f"{product}: {stock.reserved} reserved, {was.reserved} before")
        if (gone := was.available - stock.available) != sold[product]:
            wrong.append(f"{product}: {gone} pieces are gone, {sold[product]} were sold")
    for user, balance in after.balance_minor.items():
        if (gone := before.balance_minor[user] - balance) != spent[user]:
            wrong.append(f"{user}: {gone} was charged, completed orders cost {spent[user]} (minor units)")
    return wrong
