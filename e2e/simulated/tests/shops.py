"""What tests ask of a history, and the scenarios that several of them need."""

from collections import Counter

import msgspec

from e2e.checks import check
from e2e.history import History, StatusAtEnd
from e2e.simulated.run import simulate
from e2e.simulated.scenario import Fault, Order, Scenario
from services.saga import Mode

MODES: tuple[Mode, ...] = ("choreographed", "orchestrated")

ENDINGS = (
    (Order("ann", {"product-1": 2}), StatusAtEnd("COMPLETED", "", 8)),
    (Order("bob", {"product-3": 26}), StatusAtEnd("CANCELLED", "OUT_OF_STOCK", 3)),
    (Order("cleo", {"product-3": 20}), StatusAtEnd("CANCELLED", "INSUFFICIENT_FUNDS", 5)),
    (Order("dan", {"product-1": 21}), StatusAtEnd("CANCELLED", "SHIPMENT_FAILED", 7)),
)
"""Orders that do not touch each other, and how each must end, with how many facts."""


def endings(mode: Mode, *faults: Fault) -> Scenario:
    """A shop with those orders, one after the other."""
    orders = [msgspec.structs.replace(order, at_ms=n * 10) for n, (order, _) in enumerate(ENDINGS)]
    return Scenario(mode=mode, orders=orders, faults=faults)


def one(mode: Mode, *faults: Fault) -> Scenario:
    """A shop with one order, which completes."""
    return Scenario(mode=mode, orders=[ENDINGS[0][0]], faults=faults)


def right(scenario: Scenario, seed: int) -> History:
    """The history, in which nothing is wrong."""
    history = simulate(scenario, seed)
    violations = check(history)
    assert not violations, "\n".join([f"seed {seed}, {scenario}", *map(str, violations)])
    return history


def assert_all_ended_as_they_must(history: History) -> None:
    assert list(history.statuses.values()) == [end for _, end in ENDINGS]
    assert set(history.accepted) == set(history.statuses)


def stored(history: History) -> Counter[tuple[str, str]]:
    """How many events of each type each service has stored."""
    return Counter((event.service, event.type) for event in history.stored)


def kills(history: History, service: str) -> int:
    return sum(fault.kind == "kill" and fault.target == service for fault in history.faults)
