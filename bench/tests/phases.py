"""A phase to calculate with."""

from __future__ import annotations

from typing import Literal

from bench.results import Phase

IDLE_CORES = 0.01
MESSAGE_S, TRANSACTION_S = 40e-6, 900e-6


def phase(
    kind: Literal["closed", "alone"], messages: int, transactions: int, cpu_ms_per_order: float = 1.0, name: str = ""
) -> Phase:
    """A phase of 10 s in which the process `order` did this."""
    used_s = messages * MESSAGE_S + transactions * TRANSACTION_S + 10 * IDLE_CORES
    return Phase(
        name=name or kind,
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
        cpu_ms_per_order=cpu_ms_per_order,
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
