"""What a benchmark found: the JSON file is this, and the table and the chart are made from it alone."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.machine import Machine
from bench.numbers import percentile
from bench.processes import Memory


class Spread(msgspec.Struct, frozen=True):
    """Of some durations, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, seconds: list[float]) -> Spread | None:
        """None if there are none."""
        if not seconds:
            return None
        seconds = sorted(seconds)
        p50, p95, p99 = (round(percentile(seconds, percent) * 1000, 2) for percent in (50, 95, 99))
        return cls(len(seconds), p50, p95, p99, round(seconds[-1] * 1000, 2))


class Second(msgspec.Struct, frozen=True):
    """One second of a phase, for the chart. Latency is of the orders that ended in it."""

    accepted: int
    completed: int
    p50_ms: float | None
    p99_ms: float | None


class Phase(msgspec.Struct, kw_only=True):
    """One phase. The load takes `load_s`; `quiet_s` later all has been handled, deliveries and notifications too.

    accepted_per_s:  by the time that the load took
    completed_per_s: by the time from the first order to the last ending
    terminal:        from POST (in the open loop: from when it was due) until the order service has told the ending
    answer:          from POST until it is answered
    watched:         from POST until COMPLETED on a WebSocket that is opened for the order
    cpu_s:           of each process until quiet, deliveries, notifications and read models in it
    busy_cores:      during the load alone
    batches:         of each service, its transactions and the messages in them
    loop_s:          of each service, the seconds that its loop spent in each of its phases, rest included
    """

    name: str
    kind: Literal["closed", "open", "alone"]
    connections: int
    rate: float
    load_s: float
    quiet_s: float
    sent: int
    accepted: int
    completed: int
    cancelled: int
    lost: int
    errors: dict[str, int]
    accepted_per_s: float
    completed_per_s: float
    terminal: Spread | None
    answer: Spread | None
    watched: Spread | None
    cpu_s: dict[str, float]
    cpu_ms_per_order: float
    busy_cores: float
    generator_cpu_s: float
    memory: dict[str, Memory]
    batches: dict[str, tuple[int, int]]
    loop_s: dict[str, dict[str, float]]
    disk_bytes: int
    topic_bytes: int
    load_before: float
    series: list[Second]


class Check(msgspec.Struct):
    """Whether nothing was lost or doubled: `wrong` is empty then.

    unanswered:       orders that exist though their POST was not answered with 202
    repeated_records: endings that lie on the topic more than once under one id; consumers drop them
    """

    accepted: int
    completed: int
    cancelled: dict[str, int]
    unanswered: int
    repeated_records: int
    wrong: list[str]


class Bench(msgspec.Struct, kw_only=True):
    """A whole run. `first_order_s`: from the start of the launcher to the first completed order."""

    at: float
    machine: Machine
    plan: dict[str, object]
    first_order_s: float | None
    idle_cores: dict[str, float]
    phases: list[Phase]
    growth: float | None
    check: Check
