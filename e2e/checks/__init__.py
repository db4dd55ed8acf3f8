"""What must be true of every history, whoever wrote it: nine checks, each a pure function. See docs/checks.md.

A shop that is too large to be held at once is checked in slices, each a history: that of some orders, with all rows,
records, documents and dead letters of these, and no levels or balances; and what orders share row by row: `shared.py`.
`e2e/large` does both. That one message id stands for two events is then found inside a slice only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from e2e.checks.dead_letters import dead_letters
from e2e.checks.endings import all_or_nothing, ends_once
from e2e.checks.facts import Facts, Order
from e2e.checks.readers import read_models, watches
from e2e.checks.stores import effects_once, published, rows_once
from e2e.checks.sums import money, stock
from e2e.checks.violation import Violation
from e2e.history import History

OF_ORDERS: Mapping[str, Callable[[Order], Iterator[Violation]]] = {
    "ends-once": ends_once,
    "all-or-nothing": all_or_nothing,
    "effects-once": effects_once,
    "read-models": read_models,
    "watches": watches,
}
OF_ALL: Mapping[str, Callable[[Facts], Iterator[Violation]]] = {
    "stock": stock,
    "money": money,
    "published": published,
    "effects-once": rows_once,
    "dead-letters": dead_letters,
}
CHECKS = (
    "ends-once",
    "all-or-nothing",
    "stock",
    "money",
    "published",
    "effects-once",
    "read-models",
    "watches",
    "dead-letters",
)
"""Their names, in the order of docs/checks.md."""


def check(history: History, names: Iterable[str] = CHECKS) -> list[Violation]:
    """What is wrong with the history, check by check. Empty if nothing is."""
    return list(violations(Facts(history), names))


def violations(facts: Facts, names: Iterable[str] = CHECKS) -> Iterator[Violation]:
    for name in names:
        of_order, of_all = OF_ORDERS.get(name), OF_ALL.get(name)
        if of_order is not None:
            for order in facts.orders.values():
                yield from of_order(order)
        if of_all is not None:
            yield from of_all(facts)
