"""What faults do to a simulated shop: nothing that anybody would see at its end."""

from collections import Counter
from typing import get_args

import pytest

from e2e.simulated.drawn import KINDS, PARTICIPANTS, POINTS, SERVICES
from e2e.simulated.run import simulate
from e2e.simulated.scenario import Fault, Kill, KillAt, Poison, PoisonKind, Redeliver, Skew, Unreachable
from e2e.simulated.tests.shops import (
    ENDINGS,
    MODES,
    assert_all_ended_as_they_must,
    endings,
    kills,
    one,
    right,
    stored,
)
from services.engine.faults import Point
from services.saga import Mode

READ_MODELS = ("status", "marketing")
OF_PUBLISHING = ("amid-publish", "before-mark")
ALL = (*SERVICES, "orchestrator")


def has(service: str, point: Point) -> bool:
    """Read models publish nothing."""
    return service not in READ_MODELS or point not in OF_PUBLISHING


@pytest.mark.parametrize("point", get_args(Point))
@pytest.mark.parametrize("service", ALL)
def test_a_service_that_is_killed_at_a_crash_point_changes_no_ending(service: str, point: Point) -> None:
    for mode in MODES if service != "orchestrator" else MODES[1:]:
        for nth in (1, 2):
            history = right(endings(mode, KillAt(service, point, nth)), nth)
            assert kills(history, service) == has(service, point)
            assert_all_ended_as_they_must(history)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("service", PARTICIPANTS)
def test_a_service_that_is_killed_again_and_again_changes_no_ending(service: str, mode: Mode) -> None:
    faults: list[Fault] = [KillAt(service, point, nth) for point in POINTS for nth in (1, 2)]
    faults += [Kill(service, at_ms) for at_ms in range(0, 20_000, 1000)]
    history = right(endings(mode, *faults), 1)
    assert kills(history, service) >= len(POINTS) * 2
    assert_all_ended_as_they_must(history)


def test_a_kill_loses_nothing_that_was_stored_and_nobody_is_told_what_was_not() -> None:
    killed = right(one("choreographed", KillAt("order", "after-commit", type="shop.order.v1.PlaceOrderRequest")), 1)
    assert kills(killed, "order") == 1
    (down,) = killed.faults
    (accepted,) = killed.accepted.values()
    (created,) = [event for event in killed.stored if event.type == "shop.order.v1.OrderCreated"]
    assert created.time_us <= down.from_us < down.to_us <= accepted.at_us, "it is stored, and the answer was lost"


@pytest.mark.parametrize("mode", MODES)
def test_what_is_delivered_again_leads_to_nothing_more(mode: Mode) -> None:
    again = [Redeliver(service, at_ms, 100) for service in ALL for at_ms in (20, 40, 3000, 9000)]
    for seed in range(5):
        history = right(endings(mode, *again), seed)
        assert_all_ended_as_they_must(history)
        assert stored(history) == stored(right(endings(mode), seed))
        assert set(Counter(record.message_id for record in history.published).values()) == {1}


def test_what_was_published_without_an_answer_is_published_again_under_the_same_id() -> None:
    cut = [Unreachable(service, nth, taken=1, acknowledged=0) for service in PARTICIPANTS for nth in (1, 2, 4)]
    history = right(endings("choreographed", *cut), 1)
    assert_all_ended_as_they_must(history)
    assert max(Counter(record.message_id for record in history.published).values()) > 1


@pytest.mark.parametrize("by_ms", [-4000, 4000])
def test_a_clock_that_is_wrong_changes_no_ending(by_ms: int) -> None:
    for service in PARTICIPANTS:
        assert_all_ended_as_they_must(right(endings("choreographed", Skew(service, by_ms)), 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_record_is_buried_once_by_each_who_needs_it_and_holds_nobody_up(kind: PoisonKind) -> None:
    poison = Poison("shop.payment.v1.PaymentCompleted", 15, 0, kind)
    history = right(endings("choreographed", poison, Redeliver("shipping", 1000, 100)), 1)
    assert_all_ended_as_they_must(history)
    (poisoned,) = history.poisoned
    assert "shipping" in poisoned.services
    buried = sorted(record.topic for record in history.published if record.topic.endswith(".dlq"))
    assert buried == [f"{service}.dlq" for service in poisoned.services]


def test_every_service_is_hit_by_the_faults_that_are_aimed_at_it() -> None:
    """Or these tests would say nothing."""
    aimed = [KillAt(service, "before-transaction") for service in SERVICES]
    history = simulate(endings("choreographed", *aimed), 1)
    assert {fault.target for fault in history.faults} == set(SERVICES)
    assert len(history.accepted) == len(ENDINGS)
