"""Ids are the same for the same work, and different for different work."""

from itertools import combinations

from services.engine.ids import child_traceparent, message_id, timer_id

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def test_the_same_work_yields_the_same_id() -> None:
    assert message_id("order", "cause", "Do", 0) == message_id("order", "cause", "Do", 0)


def test_ids_are_the_same_in_every_version_for_ever() -> None:
    assert message_id("order", "cause", "Do", 0) == "a51720df-de19-5ff5-9ff1-51f82220db48"
    assert timer_id("order/1", "deadline", 3) == "timer/order/1/deadline/3"


def test_any_other_service_cause_command_or_index_is_another_id() -> None:
    work = [("a", "c", "Do", 0), ("b", "c", "Do", 0), ("a", "d", "Do", 0), ("a", "c", "Undo", 0), ("a", "c", "Do", 1)]
    assert all(message_id(*one) != message_id(*other) for one, other in combinations(work, 2))


def test_a_timer_that_is_started_again_after_a_change_has_another_id() -> None:
    assert timer_id("order/1", "deadline", 1) != timer_id("order/1", "deadline", 2)


def test_a_child_stays_in_its_parents_trace_with_a_span_of_its_own() -> None:
    child = message_id("order", "cause", "Do", 0)
    version, trace, span, flags = child_traceparent(PARENT, child).split("-")
    assert (version, trace, flags) == ("00", "a" * 32, "01")
    assert span == child.replace("-", "")[:16]


def test_without_a_parent_a_trace_begins() -> None:
    child = message_id("order", "cause", "Do", 0)
    for parent in ("", "00-short", PARENT + "x"):
        version, trace, span, flags = child_traceparent(parent, child).split("-")
        assert (version, trace, flags) == ("00", child.replace("-", ""), "01")
        assert len(trace) == 32 and len(span) == 16
