"""A taken unique key: a lost race is run again, an id that still clashes concerns one message alone."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from services.engine import ids
from services.engine.loop import CONFLICTS_MAX
from services.engine.messages import Record
from services.engine.participant import Reply
from services.engine.retry import TransientError
from services.engine.sqlite import SqliteStore
from services.engine.store import Changes, ConflictError, NewEvent
from services.engine.tests.lives import Life, Place
from services.engine.tests.toy import COUNTED, TICK_S, Add, Answers, Counter, rpc, said, several


def occupy(life: Life, cause_id: str, command: str = "Do") -> None:
    """Takes the id of the first event that this cause will lead to, as only a bug can."""
    event = NewEvent("other/x", 1, COUNTED, ids.message_id("toy", cause_id, command, 0), "?", None, "x", b"", "", 0)
    with life.store.transaction() as transaction:
        transaction.write(Changes(0, events=[event]))


def test_a_message_whose_ids_are_taken_is_dead_lettered_alone(life: Life) -> None:
    occupy(life, "said-1")
    answers = Answers()
    life.engine.cycle(several("a add", "b add", "c add", "d fail"), [rpc(Add("a", 1), "id-1", answers)])
    assert life.dead_letters() == ["said-1", "said-3"]
    assert [life.counter(name).count for name in "abc"] == [2, 0, 1]
    assert [type(answer) for answer in answers.given] == [Reply]
    letter = life.store.dead_letter("said-1")
    assert letter is not None and letter.cause.startswith("ConflictError")


def test_poison_beside_a_conflict_is_dead_lettered_too(life: Life) -> None:
    occupy(life, "said-0")
    life.engine.cycle([said("a add"), Record("said", 0, 7, b"", {}, b"")], [])
    assert life.dead_letters() == ["said-0", "said/0/7"]


def test_a_command_whose_ids_are_taken_is_answered_with_the_conflict(life: Life) -> None:
    occupy(life, "id-1", "Add")
    clashing, other = Answers(), Answers()
    life.engine.cycle([], [rpc(Add("a", 1), "id-1", clashing), rpc(Add("a", 1), "id-2", other)])
    assert [type(answer) for answer in clashing.given] == [ConflictError]
    assert [type(answer) for answer in other.given] == [Reply]
    assert life.counter("a") == Counter(1)


def test_a_timer_whose_ids_are_taken_is_dead_lettered_alone(place: Place, life: Life) -> None:
    life.engine.cycle(several("a start", "b start"), [])
    occupy(life, "timer/counter/a/tick/0", "TimerFired")
    place.clock.pass_s(TICK_S)
    life.engine.cycle([said("c add", offset=9)], [])
    assert life.dead_letters() == ["timer/counter/a/tick/0"]
    assert [life.counter(name).count for name in "abc"] == [0, 1, 1]


class Unlucky(SqliteStore):
    """A store whose transactions fail at their end, with these errors one after the other; then it is well."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.errors: list[Exception] = []

    @contextmanager
    def transaction(self) -> Generator[Any]:
        with super().transaction() as transaction:
            yield transaction
            if self.errors:
                raise self.errors.pop(0)


def unlucky_life(place: Place, *errors: Exception) -> Life:
    life = place.live(store=Unlucky)
    assert isinstance(life.store, Unlucky)
    life.store.errors = list(errors)
    return life


def test_a_batch_that_lost_a_race_is_decided_again_as_a_whole(place: Place) -> None:
    life = unlucky_life(place, *[ConflictError("a rival was faster")] * (CONFLICTS_MAX - 1))
    answers = Answers()
    life.engine.cycle(several("a add", "b add"), [rpc(Add("a", 1), "id-1", answers)])
    assert life.changes == [{"counter/a": Counter(2), "counter/b": Counter(1)}]
    assert (life.dead_letters(), len(answers.given)) == ([], 1)


def test_a_batch_that_loses_every_race_is_decided_one_by_one(place: Place) -> None:
    life = unlucky_life(place, *[ConflictError("a rival was faster")] * CONFLICTS_MAX)
    life.engine.cycle(several("a add", "b add"), [])
    assert (life.counter("a"), life.counter("b"), life.dead_letters()) == (Counter(1), Counter(1), [])


def test_a_fault_of_the_database_that_passes_leaves_no_trace(place: Place) -> None:
    life = unlucky_life(place, TransientError("the disk was busy"))
    answers = Answers()
    life.engine.cycle(several("a add"), [rpc(Add("a", 1), "id-1", answers)])
    assert (life.counter("a"), len(answers.given), len(life.errors)) == (Counter(2), 1, 1)
    assert [event.version for event in life.broker.sent] == [1, 2]


def test_a_bug_in_the_store_ends_the_loop_and_nothing_was_answered(place: Place) -> None:
    life = unlucky_life(place, ZeroDivisionError())
    answers = Answers()
    with pytest.raises(ZeroDivisionError):
        life.engine.cycle([], [rpc(Add("a", 1), "id-1", answers)])
    assert answers.given == []
