"""Ids are the same for the same work, and different for different work."""

from itertools import combinations
from uuid import RFC_4122, UUID

from services.engine.ids import child_traceparent, message_id, timer_id

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def test_the_same_work_yields_the_same_id() -> None:
    assert message_id("order", "cause", "Do", 0) == message_id("order", "cause", "Do", 0)


def test_ids_are_the_same_in_every_version_for_ever() -> None:
    cause = "0192f0c1-aaaa-7bbb-8ccc-0123456789ab"
    assert message_id("order", cause, "Do", 0) == "0192f0c1-aaaa-8d9a-85e4-c9775df7b87e"
    assert message_id("order", "cause", "Do", 0) == "02ff8888-ec95-8f5c-8cb2-3785cea95745"
    assert timer_id("order/1", "deadline", 3) == "timer/order/1/deadline/3"


def test_any_other_service_cause_command_or_index_is_another_id() -> None:
    work = [("a", "c", "Do", 0), ("b", "c", "Do", 0), ("a", "d", "Do", 0), ("a", "c", "Undo", 0), ("a", "c", "Do", 1)]
    assert all(message_id(*one) != message_id(*other) for one, other in combinations(work, 2))


def test_an_id_is_a_uuid_that_begins_as_its_cause_does() -> None:
    cause = "0192f0c1-aaaa-7bbb-8ccc-0123456789ab"
    first = message_id("order", cause, "Do", 0)
    of_a_timer = message_id("order", timer_id(f"order/{cause}", "deadline", 1), "TimerFired", 0)
    assert first[:13] == of_a_timer[:13] == cause[:13]
    assert {UUID(each).version for each in (first, of_a_timer, message_id("order", "?", "Do", 0))} == {8}
    assert {UUID(each).variant for each in (first, of_a_timer)} == {RFC_4122}


def test_a_timer_that_is_started_again_after_a_change_has_another_id() -> None:
    assert timer_id("order/1", "deadline", 1) != timer_id("order/1", "deadline", 2)


def test_a_child_stays_in_its_parents_trace_with_a_span_of_its_own() -> None:
    child = message_id("order", "cause", "Do", 0)
    version, trace, span, flags = child_traceparent(PARENT, child).split("-")
    assert (version, trace, flags) == ("00", "a" * 32, "01")
    assert span == child.replace("-", "")[16:]


def test_without_a_parent_a_trace_begins() -> None:
    child = message_id("order", "cause", "Do", 0)
    for parent in ("", "00-short", PARENT + "x"):
        version, trace, span, flags = child_traceparent(parent, child).split("-")
        assert (version, trace, flags) == ("00", child.replace("-", ""), "01")
        assert len(trace) == 32 and len(span) == 16
