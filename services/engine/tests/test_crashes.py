"""A crash at each named point of the loop, then another life and the same records again: as if nothing had been."""

from collections.abc import Set as AbstractSet
from typing import NamedTuple

import pytest

from services.engine.faults import Fault, Faults, Point
from services.engine.messages import Record
from services.engine.tests.lives import Place
from services.engine.tests.toy import TICK_S, Add, Answers, Counter, rpc, several


class Killed(Exception):
    """Stands for the end of the process."""


class KilledAt(Faults):
    """Raises where a real fault kills, the first time."""

    def __init__(self, point: Point) -> None:
        super().__init__()
        self.arm(Fault(point, "kill"))

    def reach(self, point: Point, message_types: AbstractSet[str]) -> None:  # noqa: ARG002 the base has it
        if any(fault.point == point for fault in self.armed()):
            self.clear()
            raise Killed(point)


class Left(NamedTuple):
    """What a crash at `point` leaves: counted or not, sent, marked, answered."""

    point: Point
    counted: bool
    sent: int
    unmarked: int
    answered: bool


LEFT = [
    Left("before-transaction", counted=False, sent=0, unmarked=0, answered=False),
    Left("after-commit", counted=True, sent=0, unmarked=4, answered=False),
    Left("amid-publish", counted=True, sent=2, unmarked=4, answered=True),
    Left("before-mark", counted=True, sent=4, unmarked=4, answered=True),
    Left("before-offset-commit", counted=True, sent=4, unmarked=4, answered=True),
]
EVERY_POINT = pytest.mark.parametrize("left", LEFT, ids=lambda left: left.point)
RECORDS = several("a add", "b both", "a add")


def killed(place: Place, left: Left, records: list[Record] = RECORDS) -> Answers:
    life = place.live(faults=KilledAt(left.point))
    answers = Answers()
    with pytest.raises(Killed):
        life.engine.cycle(records, [rpc(Add("c", 5), "id-1", answers)])
    return answers


@EVERY_POINT
def test_a_crash_leaves_all_of_a_batch_or_nothing(place: Place, left: Left) -> None:
    answers = killed(place, left)
    after = place.live()
    assert (after.counter("a").count, after.counter("b").count) == ((2, 1) if left.counted else (0, 0))
    assert len(after.inbox_has("said-0", "said-1", "said-2")) == (3 if left.counted else 0)
    assert len(place.broker.sent) == left.sent
    assert len(after.store.unpublished(None, 10)) == left.unmarked
    assert bool(answers.given) == left.answered


@EVERY_POINT
def test_after_a_crash_the_same_records_lead_to_the_same_state_and_the_same_events(place: Place, left: Left) -> None:
    killed(place, left)
    after = place.live()
    after.engine.start()
    after.engine.cycle(RECORDS, [])
    assert (after.counter("a"), after.counter("b")) == (Counter(2), Counter(1, marked=True))
    after.engine.mark()
    assert after.store.unpublished(None, 10) == []
    by_id = {event.message_id: (event.key, event.version, event.payload) for event in place.broker.sent}
    sent = [(event.key, event.version) for event in after.store.events("", 0, 10) if event.topic is not None]
    assert sorted((key, version) for key, version, _ in by_id.values()) == sorted(sent)


@EVERY_POINT
def test_after_a_crash_the_events_of_a_key_first_come_in_order(place: Place, left: Left) -> None:
    killed(place, left)
    after = place.live()
    after.engine.start()
    after.engine.cycle(RECORDS, [])
    first_seen = list(dict.fromkeys(event.message_id for event in place.broker.sent if event.key == "a"))
    stored = [event.message_id for event in after.store.events("counter/a", 0, 10)]
    assert first_seen == stored


@EVERY_POINT
def test_a_timer_that_was_due_at_a_crash_has_fired_once_in_the_end(place: Place, left: Left) -> None:
    place.live().engine.cycle(several("t add", "t add", "t start"), [])
    place.clock.pass_s(TICK_S)
    life = place.live(faults=KilledAt(left.point))
    with pytest.raises(Killed):
        life.engine.cycle([], [])
    after = place.live()
    after.engine.start()
    for _ in range(2):
        after.engine.cycle([], [])
    assert after.counter("t") == Counter(3)
    assert after.store.next_timer_us() is None
