"""Timers: rows that fire as messages, once, when the clock says so."""

import pytest

from services.engine.loop import TIMER_TICK_US
from services.engine.store import Changes, Timer
from services.engine.tests.lives import Life, Place
from services.engine.tests.toy import TICK_S, Counter, said, several


def test_a_timer_fires_once_when_it_is_due(place: Place, life: Life) -> None:
    life.engine.cycle(several("a add", "a add", "a start"), [])
    place.clock.pass_s(TICK_S - 1)
    life.engine.cycle([], [])
    assert life.counter("a") == Counter(2)
    assert life.engine.idle_s(60.0) == pytest.approx(1.0)
    place.clock.pass_s(1)
    assert life.engine.idle_s(60.0) == 0.0
    for _ in range(2):
        life.engine.cycle([], [])
    assert life.counter("a") == Counter(3)
    assert life.engine.idle_s(60.0) == 60.0


def test_a_timer_that_starts_itself_again_fires_again(place: Place, life: Life) -> None:
    life.engine.cycle([said("a start")], [])
    for fired in (1, 2, 3, 3):
        place.clock.pass_s(TICK_S)
        life.engine.cycle([], [])
        assert life.counter("a") == Counter(fired)


def test_timers_that_are_due_soon_after_others_fire_together(place: Place, life: Life) -> None:
    tick_s = TIMER_TICK_US / 1_000_000
    for n, name in enumerate("abc"):
        life.engine.cycle([said(f"{name} start", str(n))], [])
        place.clock.pass_s(tick_s / 4)
    place.clock.pass_s(TICK_S - 3 * tick_s / 4)
    life.engine.cycle([], [])
    assert [life.counter(name).count for name in "abc"] == [1, 0, 0]
    place.clock.pass_s(tick_s / 2)
    assert life.engine.idle_s(60.0) == pytest.approx(tick_s / 2)
    life.engine.cycle([], [])
    assert [life.counter(name).count for name in "abc"] == [1, 0, 0]
    place.clock.pass_s(tick_s / 2)
    life.engine.cycle([], [])
    assert [life.counter(name).count for name in "abc"] == [1, 1, 1]


def test_a_stopped_timer_does_not_fire(place: Place, life: Life) -> None:
    life.engine.cycle(several("a start", "b start"), [])
    life.engine.cycle([said("a stop", offset=7)], [])
    place.clock.pass_s(TICK_S)
    life.engine.cycle([], [])
    assert (life.counter("a"), life.counter("b")) == (Counter(), Counter(1))


def test_a_timer_that_is_due_fires_beside_other_work(place: Place, life: Life) -> None:
    life.engine.cycle([said("a start")], [])
    place.clock.pass_s(TICK_S)
    life.engine.cycle([said("b add", offset=7)], [])
    assert (life.counter("a"), life.counter("b")) == (Counter(1), Counter(1))


def test_held_timers_wait(place: Place, life: Life) -> None:
    life.engine.cycle([said("a start")], [])
    life.engine.hold_timers = True
    place.clock.pass_s(TICK_S)
    life.engine.cycle([], [])
    assert life.engine.idle_s(60.0) == 60.0
    assert life.counter("a") == Counter()
    life.engine.hold_timers = False
    life.engine.cycle([], [])
    assert life.counter("a") == Counter(1)


def test_a_timer_of_an_earlier_life_fires_in_the_next(place: Place, life: Life) -> None:
    life.engine.cycle([said("a start")], [])
    place.clock.pass_s(TICK_S)
    after = place.live()
    after.engine.start()
    after.engine.cycle([], [])
    assert after.counter("a") == Counter(1)


def test_a_timer_that_another_replica_started_is_found(place: Place, life: Life) -> None:
    life.engine.cycle([], [])
    timer = Timer("counter/a", "tick", 0, place.clock.now_us + 5_000_000, "")
    with life.store.transaction() as transaction:
        transaction.write(Changes(0, timers={("counter/a", "tick"): timer}))
    assert life.engine.idle_s(60.0) == 60.0
    life.engine.look_for_timers()
    assert life.engine.idle_s(60.0) == pytest.approx(5.0)


def test_a_timer_that_cannot_be_decided_is_dead_lettered_and_does_not_fire_again(place: Place, life: Life) -> None:
    life.engine.cycle([said("broken start")], [])
    place.clock.pass_s(TICK_S)
    for _ in range(2):
        life.engine.cycle([], [])
    assert life.dead_letters() == ["timer/counter/broken/tick/0"]
