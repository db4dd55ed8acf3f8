"""What is taken from a service's metrics."""

from __future__ import annotations

from bench.measuring import Loop, loop_of

METRICS = """\
# TYPE sagaproof_batch_messages histogram
sagaproof_batch_messages_bucket{le="1.0"} 3.0
sagaproof_batch_messages_bucket{le="+Inf"} 5.0
sagaproof_batch_messages_count 5.0
sagaproof_batch_messages_sum 62.0
# TYPE sagaproof_loop_phase_seconds histogram
sagaproof_loop_phase_seconds_bucket{le="+Inf",phase="load"} 5.0
sagaproof_loop_phase_seconds_count{phase="load"} 5.0
sagaproof_loop_phase_seconds_sum{phase="load"} 0.25
sagaproof_loop_phase_seconds_sum{phase="commit"} 0.5
"""


def test_transactions_messages_and_seconds_are_read() -> None:
    assert loop_of(METRICS) == Loop(5, 62, {"load": 0.25, "commit": 0.5})


def test_of_two_looks_the_difference_counts() -> None:
    before = Loop(2, 12, {"load": 0.05})
    assert loop_of(METRICS).since(before) == Loop(3, 50, {"load": 0.2, "commit": 0.5})


def test_a_process_that_was_restarted_counts_from_its_new_start() -> None:
    assert loop_of(METRICS).since(Loop(1_000, 9_000, {"load": 7.0})) == loop_of(METRICS)
    assert loop_of(METRICS).since(None) == loop_of(METRICS)
