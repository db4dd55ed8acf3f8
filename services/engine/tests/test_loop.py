"""The cycle on a real store: decided, answered, published, marked."""

import pytest
from google.protobuf.wrappers_pb2 import Int32Value

from services.engine import ids
from services.engine.messages import Record, decode
from services.engine.participant import Refusal, Reply
from services.engine.retry import TransientError
from services.engine.tests.lives import Life, Place
from services.engine.tests.toy import Add, Answers, Counter, rpc, said, several, toy

# One cycle


def test_a_cycle_stores_and_publishes_and_when_idle_marks(life: Life) -> None:
    life.engine.cycle(several("a add", "b add", "a mark"), [])
    assert life.counter("a") == Counter(1, marked=True)
    assert life.broker.values == [("a", 1), ("b", 1)]
    life.engine.cycle([], [])
    assert life.store.unpublished(None, 10) == []
    assert life.inbox_has("said-0", "said-1", "said-2") == {"said-0", "said-1", "said-2"}


def test_a_cycle_with_nothing_to_do_does_nothing(life: Life) -> None:
    life.engine.cycle([], [])
    assert life.broker.tries == []


def test_an_unknown_type_is_skipped_and_leaves_no_trace(life: Life) -> None:
    record = said("a add")
    record = Record(*(record.topic, 0, 0, b"a"), {**record.headers, "ce_type": b"shop.Future"}, record.value)
    life.engine.cycle([record], [])
    assert life.inbox_has("said-0") == set()
    assert life.dead_letters() == []


def test_a_duplicate_is_dropped_and_what_was_left_of_its_key_is_published(place: Place, life: Life) -> None:
    place.broker.take_only = [0, 0, 0]
    life.stopping.set()
    with pytest.raises(TransientError):
        life.engine.cycle([said("a add")], [])
    life.stopping.clear()
    place.broker.take_only = []
    life.engine.cycle([said("a add")], [])
    assert life.counter("a") == Counter(1)
    assert life.broker.values == [("a", 1)]


def test_whoever_watches_is_told_of_the_states_that_changed(life: Life) -> None:
    life.engine.cycle(several("a add", "a add", "b nothing"), [])
    assert life.changes == [{"counter/a": Counter(2)}]


# RPC


def test_an_rpc_is_answered_after_its_transaction_has_committed(life: Life) -> None:
    answers = Answers(lambda: (life.counter("a").count, len(life.broker.sent)))
    life.engine.cycle([], [rpc(Add("a", 3), "id-1", answers)])
    assert answers.given == [Reply(Int32Value(value=3))]
    assert answers.seen == [(3, 0)], "committed, and not held up by the broker"


def test_a_refusal_is_answered_and_leaves_nothing(life: Life) -> None:
    answers = Answers()
    life.engine.cycle([], [rpc(Add("a", 0), "id-1", answers)])
    assert [type(answer) for answer in answers.given] == [Refusal]
    assert life.store.events("", 0, 10) == []
    assert life.store.entity("counter/a") is None


def test_records_and_commands_of_a_batch_are_decided_together(life: Life) -> None:
    answers = Answers()
    life.engine.cycle([said("a add")], [rpc(Add("a", 10), "id-1", answers)])
    assert life.counter("a") == Counter(11)
    assert len(life.changes) == 1


# Poison


@pytest.mark.parametrize("value", [b"", b"\xff\xff", b"\x0a\x05trunc", b"\xff" * 900_000])
def test_poison_is_dead_lettered_under_its_place_and_the_others_go_on(life: Life, value: bytes) -> None:
    poison = Record("said", 0, 7, b"a", said("a add").headers, value)
    life.engine.cycle([said("a add"), poison, said("b add", offset=2)], [])
    assert life.dead_letters() == ["said/0/7"]
    assert (life.counter("a"), life.counter("b")) == (Counter(1), Counter(1))
    assert [event.key for event in life.broker.sent if event.topic == "toy.dlq"] == ["said/0/7"]


def test_poison_that_comes_again_is_one_dead_letter(life: Life) -> None:
    poison = Record("said", 0, 7, b"", {}, b"")
    for _ in range(2):
        life.engine.cycle([poison], [])
    assert len([event for event in life.broker.sent if event.topic == "toy.dlq"]) == 1


def test_what_cannot_be_decided_is_dead_lettered_alone(life: Life) -> None:
    life.engine.cycle(several("a add", "a fail", "b add"), [])
    letter = life.store.dead_letter("said-1")
    assert letter is not None
    assert letter.cause == "CannotHappen: not in this state"
    assert (life.counter("a"), life.counter("b")) == (Counter(1), Counter(1))


def test_a_replay_of_a_dead_letter_keeps_its_id_and_passes_the_inbox(life: Life) -> None:
    life.engine.cycle([said("a fail", "id-1")], [])
    answers = Answers()
    corrected = decode(said("a add", "id-1"), toy())
    assert corrected is not None
    corrected.replay, corrected.answer = "id-1", answers
    life.engine.cycle([], [corrected])
    assert [type(answer) for answer in answers.given] == [Reply]
    assert [letter.status for letter in life.store.dead_letters(None, "", 10)] == ["replayed"]
    (event,) = life.store.events("counter/a", 0, 10)
    assert event.message_id == ids.message_id("toy", "id-1", "Do", 0)
    life.engine.cycle([said("a add", "id-1")], [])
    assert life.counter("a") == Counter(1), "a redelivery after the replay is a duplicate"


# Starting


def test_a_participants_first_commands_are_handled_at_the_start(place: Place) -> None:
    life = place.live(toy(at_start=[Add("a", 1), Add("b", 2)]))
    life.engine.start()
    assert life.broker.values == [("a", 1), ("b", 2)]


def test_other_first_commands_than_in_the_last_life_do_not_clash_with_theirs(place: Place) -> None:
    place.live(toy(at_start=[Add("a", 1)])).engine.start()
    after = place.live(toy(at_start=[Add("b", 1), Add("c", 1)]))
    after.engine.start()
    assert [after.counter(name).count for name in "abc"] == [1, 1, 1]


def test_a_first_command_that_fails_stops_the_start(place: Place) -> None:
    with pytest.raises(RuntimeError):
        place.live(toy(at_start=[Add("a", -1)])).engine.start()
