"""Deciding a batch in memory: what is to be written, answered and published."""

from dataclasses import replace

import msgspec
import pytest
from google.protobuf.wrappers_pb2 import Int32Value
from shop.admin.v1.events_pb2 import DeadLettered
from shop.admin.v1.service_pb2 import ReplayDeadLetterResponse

from services.engine import ids
from services.engine.batch import CAUSE_MAX, Batch, decode_state, encode_state
from services.engine.messages import TIMER_TYPE, Message, Record, decode, with_keys
from services.engine.participant import IndexRow, Refusal, Reply, TimerFired
from services.engine.store import NewEvent, StateRow, Timer
from services.engine.tests.toy import (
    COUNTED,
    SAID,
    START_US,
    TICK_S,
    TRACE,
    Add,
    Answers,
    Counter,
    rpc,
    said,
    several,
    toy,
)

TOY = toy()
ENTITIES = ["counter/a", "counter/b", "counter/broken"]


def batch(
    rows: dict[str, StateRow] | None = None, seen: set[str] | None = None, entities: list[str] = ENTITIES
) -> Batch:
    return Batch(TOY, seen or set(), rows or {}, entities, START_US)


def message(record: Record) -> Message:
    decoded = decode(record, TOY)
    assert decoded is not None
    return decoded


def decided(*messages: Message, on: Batch | None = None) -> Batch:
    on = on or batch()
    for each in messages:
        on.decide(each)
    on.finish()
    return on


def tick(name: str) -> Message:
    entity = f"counter/{name}"
    return with_keys(Message(ids.timer_id(entity, "tick", 0), TimerFired(entity, "tick"), TIMER_TYPE, TRACE), TOY)


def row(count: int, version: int) -> StateRow:
    return StateRow(version, encode_state(Counter(count)))


def states_of(on: Batch) -> dict[str, Counter]:
    return {entity: decode_state(Counter, state.state) for entity, state in on.changes.states.items()}


def test_a_decision_is_an_inbox_row_events_and_the_state_that_they_lead_to() -> None:
    on = decided(message(said("a both", "id-1")))
    assert on.changes.inbox == {"id-1"}
    assert states_of(on) == {"counter/a": Counter(1, marked=True)} == on.states
    first, second = on.changes.events
    first_id = ids.message_id("toy", "id-1", "Do", 0)
    assert first == NewEvent(
        "counter/a",
        1,
        COUNTED,
        first_id,
        "id-1",
        "counted",
        "a",
        Int32Value(value=1).SerializeToString(),
        ids.child_traceparent(TRACE, first_id),
        START_US,
    )
    assert (second.version, second.topic) == (2, None)
    assert second.message_id == ids.message_id("toy", "id-1", "Do", 1)
    assert on.changes.states["counter/a"].version == 2


def test_each_message_sees_what_those_before_it_in_the_batch_did() -> None:
    on = decided(*map(message, several("a add", "b add", "a add", "a add")))
    assert states_of(on) == {"counter/a": Counter(3), "counter/b": Counter(1)}
    versions = [(e.entity, e.version) for e in on.changes.events]
    assert versions == [("counter/a", 1), ("counter/b", 1), ("counter/a", 2), ("counter/a", 3)]


def test_a_batch_goes_on_from_what_is_stored() -> None:
    on = decided(message(said("a add")), on=batch({"counter/a": row(41, version=7)}))
    assert on.changes.states == {"counter/a": row(42, version=8)}


def test_the_ids_of_events_do_not_depend_on_how_the_batch_is_cut() -> None:
    first, second = map(message, several("a add", "b both"))
    together = [e.message_id for e in decided(first, second).changes.events]
    apart = [e.message_id for each in (first, second) for e in decided(each).changes.events]
    assert together == apart
    assert len(set(together)) == 3


def test_doing_the_same_work_again_yields_the_same_bytes() -> None:
    first, second = (decided(message(said("a both", "id-1"))).changes for _ in range(2))
    assert first == second


def test_a_message_that_decides_nothing_leaves_its_inbox_row_only() -> None:
    on = decided(message(said("a nothing", "id-1")))
    assert on.changes.inbox == {"id-1"}
    assert (on.changes.events, on.changes.states, on.to_publish) == ([], {}, set())


# Duplicates


def test_what_the_inbox_has_seen_is_dropped_and_its_key_is_published_again() -> None:
    on = decided(message(said("a add", "id-1")), on=batch(seen={"id-1"}))
    assert (on.changes.events, on.changes.inbox, on.duplicates) == ([], set(), 1)
    assert on.to_publish == {"a"}


def test_a_message_that_comes_twice_in_a_batch_is_handled_once() -> None:
    on = decided(*(message(said("a add", "same", offset)) for offset in (1, 2)))
    assert states_of(on) == {"counter/a": Counter(1)}
    assert on.duplicates == 1


def test_rpc_commands_have_no_inbox_row_since_their_state_makes_them_idempotent() -> None:
    on = decided(with_keys(rpc(Add("a", 1), "id-1", Answers()), TOY), on=batch(seen={"id-1"}))
    assert len(on.changes.events) == 1
    assert on.changes.inbox == set()


# What goes wrong


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("fail", "CannotHappen: not in this state"),
        ("reach", "KeyError: 'counter/another'"),
        ("peek", "KeyError: 'counter/another'"),
        ("crash", "ValueError: crash"),
    ],
)
def test_a_message_that_cannot_be_decided_is_dead_lettered_alone(what: str, cause: str) -> None:
    on = decided(*map(message, several("a add", f"a {what}", "a add")))
    assert states_of(on) == {"counter/a": Counter(2)}
    ((letter, told),) = on.changes.dead_letters
    assert (letter.id, letter.status, letter.cause) == ("said-1", "open", cause)
    assert letter.record == said(f"a {what}", offset=1)
    assert on.changes.inbox == {"said-0", "said-1", "said-2"}
    assert on.to_publish == {"a", "said-1"}
    assert (told.topic, told.entity, told.version) == ("toy.dlq", "dead-letter/said-1", 1)


def test_the_dead_letter_topic_is_told_all_of_the_record() -> None:
    record = said("a fail", "id-1", offset=9)
    ((_, told),) = decided(message(record)).changes.dead_letters
    body = DeadLettered.FromString(told.payload)
    assert (body.id, body.topic, body.partition, body.offset) == ("id-1", "said", 0, 9)
    assert (body.key, body.payload, dict(body.headers)) == (record.key, record.value, record.headers)
    assert body.cause == "CannotHappen: not in this state"


def test_a_dead_letter_that_comes_twice_is_kept_once() -> None:
    on = decided(*(message(said("a fail", "same", offset)) for offset in (1, 2)))
    assert len(on.changes.dead_letters) == 1
    assert on.duplicates == 1
    again = batch(seen={"said/0/3"})
    again.dead_letter("said/0/3", said("a add"), "why")
    assert again.changes.dead_letters == []


def test_a_cause_is_kept_up_to_a_length() -> None:
    on = batch()
    on.dead_letter("id", said("a add"), "x" * 10_000)
    assert len(on.changes.dead_letters[0][0].cause) == CAUSE_MAX


def test_a_timer_that_cannot_be_decided_is_dead_lettered_and_ends() -> None:
    on = decided(tick("broken"), message(said("a add")))
    ((letter, _),) = on.changes.dead_letters
    assert letter.id == "timer/counter/broken/tick/0"
    assert on.changes.stopped == {("counter/broken", "tick")}
    assert states_of(on) == {"counter/a": Counter(1)}


# Answers


def answer_of(command: Add) -> tuple[Batch, list[Reply | Refusal | Exception]]:
    on = decided(with_keys(rpc(command, "id", Answers()), TOY))
    return on, [answer for _, answer in on.answers]


def test_a_reply_waits_for_the_commit() -> None:
    answers = Answers()
    on = decided(with_keys(rpc(Add("a", 3), "id", answers), TOY))
    assert answers.given == []
    assert on.answers == [(answers, Reply(Int32Value(value=3)))]


def test_a_refusal_leaves_nothing() -> None:
    on, answers = answer_of(Add("a", 0))
    assert answers == [Refusal(3, "nothing to add", "by")]
    assert (on.changes.events, on.changes.states, on.changes.inbox, on.to_publish) == ([], {}, set(), set())


def test_a_refusal_beside_an_event_is_a_bug_and_leaves_nothing() -> None:
    on, (answer,) = answer_of(Add("a", -1))
    assert isinstance(answer, RuntimeError)
    assert (on.changes.events, on.changes.states, on.to_publish) == ([], {}, set())


def test_a_command_without_an_answer_is_answered_with_an_error() -> None:
    answers = Answers()
    silent = message(said("a nothing"))
    silent.answer, silent.record = answers, None
    ((_, answer),) = decided(silent).answers
    assert isinstance(answer, RuntimeError)


def test_an_error_in_a_command_is_its_answer_and_no_dead_letter() -> None:
    answers = Answers()
    broken = message(said("a fail"))
    broken.answer, broken.record = answers, None
    on = decided(broken, with_keys(rpc(Add("a", 2), "id", Answers()), TOY))
    assert [type(answer).__name__ for _, answer in on.answers] == ["CannotHappen", "Reply"]
    assert on.changes.dead_letters == []
    assert states_of(on) == {"counter/a": Counter(2)}


# Timers


def running(version: int, at_s: float = TICK_S) -> Timer:
    return Timer("counter/a", "tick", version, START_US + round(at_s * 1_000_000), TRACE)


def test_a_timer_is_started_with_the_version_of_its_entity() -> None:
    on = decided(*map(message, several("a both", "a start")))
    assert on.changes.timers == {("counter/a", "tick"): running(version=2)}


def test_a_timer_that_fires_is_stopped_and_may_be_started_again() -> None:
    on = decided(tick("a"), on=batch({"counter/a": row(1, version=4)}))
    assert on.changes.stopped == {("counter/a", "tick")}
    assert on.changes.timers == {("counter/a", "tick"): running(version=5)}
    last = decided(tick("a"), on=batch({"counter/a": row(2, version=5)}))
    assert (last.changes.stopped, last.changes.timers) == ({("counter/a", "tick")}, {})


def test_a_timer_that_is_stopped_again_in_the_same_batch_does_not_run() -> None:
    on = decided(*map(message, several("a start", "a stop")))
    assert (on.changes.timers, on.changes.stopped) == ({}, {("counter/a", "tick")})


def test_a_timer_that_is_stopped_and_started_in_the_same_batch_runs() -> None:
    on = decided(*map(message, several("a stop", "a start")))
    assert on.changes.timers == {("counter/a", "tick"): running(version=0)}


@pytest.mark.parametrize("what", ["stop", "start"])
def test_a_timer_that_an_earlier_message_of_the_batch_stops_or_moves_does_not_fire(what: str) -> None:
    on = decided(message(said(f"a {what}")), tick("a"))
    assert on.changes.events == []
    assert len(on.changes.timers) == (what == "start")


def test_the_events_of_a_timer_have_ids_of_its_own() -> None:
    (event,) = decided(tick("a")).changes.events
    assert event.message_id == ids.message_id("toy", "timer/counter/a/tick/0", "TimerFired", 0)
    assert event.traceparent[:35] == TRACE[:35]


# Replays


def replay(record: Record, answers: Answers) -> Message:
    again = message(record)
    again.replay, again.answer = "letter-1", answers
    return again


def test_a_replay_is_handled_though_the_inbox_has_its_id_and_yields_the_ids_of_the_first_time() -> None:
    answers = Answers()
    on = decided(replay(said("a add", "id-1"), answers), on=batch(seen={"id-1"}))
    assert on.changes.events == decided(message(said("a add", "id-1"))).changes.events
    assert on.changes.replayed == ["letter-1"]
    ((_, answer),) = on.answers
    assert isinstance(answer, Reply) and isinstance(answer.body, ReplayDeadLetterResponse)


def test_a_replay_that_fails_again_stays_open_and_is_answered_why() -> None:
    on = decided(replay(said("a fail", "id-1"), Answers()), on=batch(seen={"id-1"}))
    assert (on.changes.replayed, on.changes.dead_letters) == ([], [])
    assert [type(answer).__name__ for _, answer in on.answers] == ["CannotHappen"]


def test_a_replayed_timer_leaves_the_one_that_runs_alone() -> None:
    again = tick("a")
    again.replay = "letter-1"
    on = decided(again, on=batch({"counter/a": row(2, version=5)}))
    assert on.changes.stopped == set()
    assert states_of(on) == {"counter/a": Counter(3)}


def test_a_state_survives_being_stored() -> None:
    assert decode_state(Counter, encode_state(Counter(3, marked=True))) == Counter(3, marked=True)
    assert encode_state(Counter()) == "{}"
    with pytest.raises(msgspec.DecodeError):
        decode_state(Counter, "[]")


def test_the_types_of_the_toy_are_what_the_engine_sees() -> None:
    assert message(said("a add")).type == SAID


def by_count(state: Counter) -> list[IndexRow]:
    return [IndexRow("by-count", "", f"{state.count:09}")] if state.count else []


READ_MODEL = replace(TOY, indexes=by_count, keeps_log=True)


def test_an_index_moves_by_what_has_changed_over_the_whole_batch() -> None:
    on = Batch(READ_MODEL, set(), {"counter/a": row(1, version=1)}, ENTITIES, START_US)
    decided(message(said("a add", "1")), message(said("a add", "2")), message(said("b add", "3")), on=on)
    first, second, third = (IndexRow("by-count", "", f"00000000{n}") for n in (1, 2, 3))
    assert on.changes.unindexed == [(first, "counter/a")]
    assert on.changes.indexed == [(third, "counter/a"), (first, "counter/b")]
    assert second not in [index for index, _ in on.changes.indexed]


def test_an_entity_that_changes_without_moving_in_an_index_leaves_it_alone() -> None:
    on = Batch(READ_MODEL, set(), {"counter/a": row(1, version=1)}, ENTITIES, START_US)
    decided(message(said("a mark", "1")), on=on)
    assert (on.changes.unindexed, on.changes.indexed) == ([], [])


def test_a_read_model_keeps_each_event_that_it_handles_once() -> None:
    on = Batch(READ_MODEL, {"2"}, {}, ENTITIES, START_US)
    records = [said("a add", "1"), said("a add", "1"), said("a add", "2"), said("a fail", "3")]
    decided(*map(message, records), on=on)
    [kept] = on.changes.log
    assert (kept.message_id, kept.type, kept.time_us, kept.payload) == ("1", SAID, START_US, records[0].value)


def test_a_participant_without_a_log_keeps_nothing() -> None:
    assert decided(message(said("a add", "1"))).changes.log == []
