"""`sagaproof bench` as its user starts it, as short as it goes. It asserts that all is there, never how fast it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bench.results import Bench, Phase

WITHIN_S = 480


@pytest.mark.e2e
@pytest.mark.timeout(WITHIN_S + 20)
def test_a_short_benchmark_measures_every_phase_and_counts_that_nothing_was_lost(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    options = "--seconds 2 --connections 4 --rate 20 --rate-seconds 2 --alone 3 --idle 1 --warm-up 0 --products 5"
    done = subprocess.run(
        [sys.executable, "-m", "sagaproof", "bench", *options.split(), "--json", str(file)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = msgspec.json.decode(file.read_bytes(), type=Bench)
    assert found.check.wrong == []
    assert found.check.accepted == sum(phase.accepted for phase in found.phases) > 40
    assert found.check.completed == found.check.accepted
    assert found.first_order_s
    assert found.machine.cores
    assert set(found.idle_cores) >= {"supervisor", "kafka", "gateway", *_services(found.phases[0])}
    closed, open_loop, alone = found.phases
    assert [closed.kind, open_loop.kind, alone.kind] == ["closed", "open", "alone"]
    for phase in found.phases:
        assert phase.lost == 0
        assert phase.completed == phase.accepted == sum(second.completed for second in phase.series)
        assert phase.terminal
        assert phase.answer
        assert phase.cpu_ms_per_order > 0
        assert phase.memory["kafka"].rss > 0
        assert phase.topic_bytes > 0
        assert all(0 < batches <= messages for batches, messages in phase.batches.values())
    assert open_loop.accepted >= 40
    assert open_loop.watched
    assert alone.watched
    assert alone.watched.count == alone.accepted == 3
    assert "closed loop" in done.stdout
    shown = subprocess.run(
        [sys.executable, "-m", "sagaproof", "bench", "--show", str(file), "--show", str(file)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=True,
    ).stdout
    assert shown.count("choreographed, SQLite, 5 products") == 2
    assert shown.count(f" {closed.completed_per_s:,.0f} ") >= 2
    ElementTree.fromstring(file.with_suffix(".svg").read_bytes())  # noqa: S314 - our own


def _services(phase: Phase) -> set[str]:
    return set(phase.batches)
