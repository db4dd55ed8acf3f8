"""The walk: it visits each world once and says how many, and what is wrong in any of them it finds, with the way there.

That the whole of it finds what is broken in the engine and in the deciders: `e2e/mutants/in_worlds.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import pytest

from e2e.explored.__main__ import main
from e2e.explored.exploring import Explored, explore
from e2e.explored.search import Bound
from e2e.explored.situations import MODES, PARTICIPANTS, SITUATIONS, Order, Situation
from services.engine.loop import Engine
from services.saga import Mode

COMPLETES = SITUATIONS["one-order"]["one that completes"]
NEVER_CANCELLED = COMPLETES._replace(orders=[Order("ann", 2, may_cancel=False)], late=PARTICIPANTS)


def right(situation: Situation, mode: Mode, crashes: int) -> Explored:
    found = explore(situation, mode, crashes, Bound())
    assert found.walk.whole
    assert not found.walk.wrong, "\n".join([*found.walk.path, found.walk.wrong])
    return found


@pytest.mark.parametrize("name", SITUATIONS["one-order"])
def test_whatever_happens_to_one_order_it_ends_right(name: str) -> None:
    found = right(SITUATIONS["one-order"][name], "choreographed", 0)
    assert found.walk.worlds > 500
    assert found.walk.ends > 40


@pytest.mark.parametrize("mode", MODES)
def test_whoever_dies_wherever_one_order_ends_right(mode: Mode) -> None:
    alive, dying = right(NEVER_CANCELLED, mode, 0), right(NEVER_CANCELLED, mode, 1)
    assert dying.walk.worlds > 10 * alive.walk.worlds


@pytest.mark.parametrize("what", ["last-unit", "one-account"])
def test_of_two_orders_that_want_the_same_both_end_right(what: str) -> None:
    found = right(SITUATIONS[what]["two orders"], "choreographed", 0)
    assert found.walk.worlds > 200


def test_the_same_walk_sees_the_same() -> None:
    one, other = right(NEVER_CANCELLED, "orchestrated", 1).walk, right(NEVER_CANCELLED, "orchestrated", 1).walk
    assert (one.worlds, one.steps, one.depth, one.ends) == (other.worlds, other.steps, other.depth, other.ends)


def test_a_walk_that_comes_to_its_bound_says_that_there_is_more() -> None:
    walked = explore(COMPLETES, "choreographed", 2, Bound(worlds=512)).walk
    assert (walked.worlds, walked.whole, walked.wrong) == (512, False, "")


def test_what_a_crash_breaks_is_found_with_the_shortest_way_there(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = Engine.publish

    def publish_new_events_only(engine: Engine, keys: Iterable[str] | None, types: AbstractSet[str]) -> None:
        if keys is not None:
            publish(engine, keys, types)

    monkeypatch.setattr(Engine, "publish", publish_new_events_only)
    walked = explore(COMPLETES._replace(late=PARTICIPANTS), "choreographed", 1, Bound()).walk
    assert "ends-once: " in walked.wrong
    assert walked.path[0] == "order is asked: place 0"
    assert [step.partition(", and is ")[2] for step in walked.path if "killed" in step] == ["killed at after-commit"]


def test_the_command_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--what", "last-unit", "--mode", "choreographed", "--crashes", "0", "--worlds", "512"]) == 0
    said = capsys.readouterr().out
    assert "two orders, choreographed, up to 0 crashes\n" in said
    assert "nothing is wrong" in said
    assert "worlds a second" in said


def test_the_command_fails_if_one_order_was_not_walked_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mode", "choreographed", "--worlds", "256"]) == 2
    assert "nothing is wrong as far as this went: there are more" in capsys.readouterr().out
