"""What a message and what a transaction cost a process, from two phases whose batches differ.

In the closed loop a transaction has dozens of messages, one order at a time it has one. CPU = messages x a +
transactions x b, in both; so both phases together give a and b. What the process uses while idle is taken off first.
The broker's messages and transactions are those of all services: it carries all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bench.results import Phase

BROKER = "kafka"
LEAST_DIFFERENCE = 0.1
"""Transactions for a message, between the two phases: with less, nothing can be told apart."""


class Cost(msgspec.Struct, frozen=True):
    """CPU microseconds."""

    a_message_us: float
    a_transaction_us: float


def costs(closed: Phase, alone: Phase, idle_cores: Mapping[str, float]) -> dict[str, Cost]:
    """By process; those are left out of which nothing can be told."""
    found = dict[str, Cost]()
    for name in [*closed.batches, BROKER]:
        many, one = _work(closed, name), _work(alone, name)
        if many[1] and one[1] and (cost := _solved(many, one, *(_cpu_s(p, name, idle_cores) for p in (closed, alone)))):
            found[name] = cost
    return found


def _work(phase: Phase, name: str) -> tuple[int, int]:
    """Messages and transactions."""
    all_of = phase.batches.values() if name == BROKER else [phase.batches.get(name, (0, 0))]
    return sum(messages for _, messages in all_of), sum(transactions for transactions, _ in all_of)


def _cpu_s(phase: Phase, name: str, idle_cores: Mapping[str, float]) -> float:
    return phase.cpu_s.get(name, 0.0) - idle_cores.get(name, 0.0) * (phase.load_s + phase.quiet_s)


def _solved(many: tuple[int, int], one: tuple[int, int], many_s: float, one_s: float) -> Cost | None:
    """The two equations with two unknowns."""
    if abs(one[1] / one[0] - many[1] / many[0]) < LEAST_DIFFERENCE:
        return None
    determinant = many[0] * one[1] - one[0] * many[1]
    message_s = (many_s * one[1] - one_s * many[1]) / determinant
    transaction_s = (many[0] * one_s - one[0] * many_s) / determinant
    return Cost(round(1e6 * message_s, 1), round(1e6 * transaction_s, 1))
