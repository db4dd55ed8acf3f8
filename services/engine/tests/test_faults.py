"""Faults fire once, at their point, for their type, the nth time."""

import subprocess
import sys
import time

import pytest

from services.engine.faults import Fault, Faults, Point


def stall(point: Point = "after-commit", message_type: str = "", nth: int = 1) -> Fault:
    return Fault(point, "stall", message_type, nth, stall_ms=0)


def test_nothing_happens_while_nothing_is_armed() -> None:
    faults = Faults()
    faults.reach("after-commit", {"T"})
    assert not faults.is_armed("after-commit")


def test_a_fault_fires_once_and_at_its_own_point() -> None:
    faults = Faults()
    faults.arm(stall())
    faults.reach("before-mark", set())
    assert faults.is_armed("after-commit") and not faults.is_armed("before-mark")
    faults.reach("after-commit", set())
    assert faults.armed() == []


def test_a_fault_of_a_type_waits_for_a_batch_that_has_it() -> None:
    faults = Faults()
    faults.arm(stall(message_type="T"))
    faults.reach("after-commit", {"U"})
    faults.reach("after-commit", set())
    assert len(faults.armed()) == 1
    faults.reach("after-commit", {"U", "T"})
    assert faults.armed() == []


def test_the_nth_time_counts_only_what_matches() -> None:
    faults = Faults()
    faults.arm(stall(message_type="T", nth=3))
    for message_type in ("T", "U", "T"):
        faults.reach("after-commit", {message_type})
    assert [fault.nth for fault in faults.armed()] == [1]
    faults.reach("after-commit", {"T"})
    assert faults.armed() == []


def test_one_visit_fires_one_fault() -> None:
    faults = Faults()
    faults.arm(stall())
    faults.arm(stall())
    faults.reach("after-commit", set())
    assert len(faults.armed()) == 1


def test_faults_can_be_cleared() -> None:
    faults = Faults()
    faults.arm(stall())
    faults.clear()
    assert faults.armed() == []


def test_a_stall_holds_the_loop_for_its_time() -> None:
    faults = Faults()
    faults.arm(Fault("after-commit", "stall", stall_ms=20))
    started = time.monotonic()
    faults.reach("after-commit", set())
    assert time.monotonic() - started >= 0.02


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_ends_the_process_at_once() -> None:
    program = (
        "from services.engine.faults import Fault, Faults\n"
        "faults = Faults(); faults.arm(Fault('before-mark', 'kill'))\n"
        "try: faults.reach('before-mark', set())\n"
        "finally: print('still there')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (-9, b"")
