"""The costs of a message and of a transaction, from phases that were made of them."""

from __future__ import annotations

import pytest

from bench.model import costs
from bench.tests.phases import IDLE_CORES, phase


def test_the_costs_are_those_that_the_phases_were_made_of() -> None:
    found = costs(phase("closed", 50_000, 1_000), phase("alone", 400, 400), {"order": IDLE_CORES, "kafka": IDLE_CORES})
    assert set(found) == {"order", "kafka"}
    for cost in found.values():
        assert cost.a_message_us == pytest.approx(40, abs=0.2)
        assert cost.a_transaction_us == pytest.approx(900, abs=0.2)


@pytest.mark.parametrize("transactions", [0, 400, 390])
def test_of_phases_with_the_same_batches_or_none_nothing_is_told(transactions: int) -> None:
    assert costs(phase("closed", 400, 400), phase("alone", 400, transactions), {}) == {}
