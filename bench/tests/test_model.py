"""The costs of a message and of a transaction, from phases that were made of them."""

from __future__ import annotations

from typing import Literal

import pytest

from bench.model import costs
from bench.results import Phase

IDLE_CORES = 0.01
MESSAGE_S, TRANSACTION_S = 40e-6, 900e-6


def phase(kind: Literal["closed", "alone"], messages: int, transactions: int) -> Phase:
    """A phase of 10 s in which the process `order` did this."""
    used_s = messages * MESSAGE_S + transactions * TRANSACTION_S + 10 * IDLE_CORES
    return Phase(
        name=kind,
        kind=kind,
        connections=1,
        rate=0.0,
        load_s=8.0,
        quiet_s=2.0,
        sent=1,
        accepted=1,
        completed=1,
        cancelled=0,
        lost=0,
        errors={},
        accepted_per_s=1.0,
        completed_per_s=1.0,
        terminal=None,
        answer=None,
        watched=None,
        cpu_s={"order": used_s, "kafka": used_s, "gateway": 1.0},
        cpu_ms_per_order=1.0,
        busy_cores=1.0,
        generator_cpu_s=0.0,
        memory={},
        batches={"order": (transactions, messages)},
        loop_s={},
        disk_bytes=0,
        topic_bytes=0,
        load_before=0.0,
        series=[],
    )


def test_the_costs_are_those_that_the_phases_were_made_of() -> None:
    found = costs(phase("closed", 50_000, 1_000), phase("alone", 400, 400), {"order": IDLE_CORES, "kafka": IDLE_CORES})
    assert set(found) == {"order", "kafka"}
    for cost in found.values():
        assert cost.a_message_us == pytest.approx(40, abs=0.2)
        assert cost.a_transaction_us == pytest.approx(900, abs=0.2)


@pytest.mark.parametrize("transactions", [0, 400, 390])
def test_of_phases_with_the_same_batches_or_none_nothing_is_told(transactions: int) -> None:
    assert costs(phase("closed", 400, 400), phase("alone", 400, transactions), {}) == {}
