"""Publishing: the lowest unmarked row first, whoever wrote it; marked only when acknowledged."""

from collections.abc import Sequence

import pytest
from google.protobuf.wrappers_pb2 import Int32Value

from services.engine.loop import BATCH_MAX
from services.engine.retry import TransientError
from services.engine.store import Changes, NewEvent, StoredEvent
from services.engine.tests.lives import Life, Place
from services.engine.tests.toy import COUNTED, said, several


def seqs(life: Life) -> list[int]:
    return [event.seq for event in life.store.events("", 0, 1000)]


def test_after_a_failure_it_starts_again_from_the_lowest_that_is_not_marked(place: Place, life: Life) -> None:
    place.broker.take_only = [2, 0]
    life.engine.cycle(several("a add", "b add", "c add", "d add"), [])
    one, two, three, four = seqs(life)
    assert place.broker.tries == [[one, two, three, four], [three, four], [three, four]]
    assert place.broker.values == [("a", 1), ("b", 1), ("c", 1), ("d", 1)]
    assert len(life.errors) == 2
    life.engine.mark()
    assert life.store.unpublished(None, 10) == []


def test_what_was_published_is_marked_by_the_next_batch(place: Place, life: Life) -> None:
    life.engine.cycle(several("a add", "b add"), [])
    assert life.engine.unmarked
    assert [event.key for event in life.store.unpublished(None, 10)] == ["a", "b"]
    life.engine.cycle([said("c add", "next")], [])
    assert [event.key for event in life.store.unpublished(None, 10)] == ["c"]
    assert place.broker.values == [("a", 1), ("b", 1), ("c", 1)]


def test_what_a_transaction_that_failed_was_to_mark_is_marked_by_the_next(life: Life) -> None:
    life.engine.cycle([said("a add")], [])
    with life.store.transaction() as transaction:
        transaction.write(Changes(0, events=[NewEvent("counter/a", 2, "T", "taken", "?", None, "a", b"", "", 0)]))
    life.engine.cycle([said("a add", "clashes")], [])
    life.engine.cycle([], [])
    assert not life.engine.unmarked
    assert {event.message_id for event in life.store.unpublished(None, 10)} <= set(life.dead_letters())


def test_only_what_was_acknowledged_is_marked(place: Place, life: Life) -> None:
    place.broker.take_only = [1, 0]
    life.stopping.set()
    with pytest.raises(TransientError):
        life.engine.cycle(several("a add", "b add", "c add"), [])
    assert [event.key for event in life.store.unpublished(None, 10)] == ["b", "c"]


def test_a_lower_row_of_the_same_key_goes_first_whoever_wrote_it(place: Place, life: Life) -> None:
    left = NewEvent("other/a", 1, COUNTED, "left", "?", "counted", "a", Int32Value(value=99).SerializeToString(), "", 0)
    far = left._replace(entity="other/z", message_id="far", key="z")
    with life.store.transaction() as transaction:
        transaction.write(Changes(0, events=[left, far]))
    life.engine.cycle([said("a add")], [])
    assert place.broker.values == [("a", 99), ("a", 1)]
    life.engine.publish(None, frozenset())
    assert place.broker.values[2:] == [("z", 99)]


def test_more_than_one_batch_of_rows_is_published_in_order(place: Place, life: Life) -> None:
    life.engine.cycle(several(*["a add"] * (2 * BATCH_MAX + 1)), [])
    assert [len(each) for each in place.broker.tries] == [BATCH_MAX, BATCH_MAX, 1]
    assert place.broker.values == [("a", n + 1) for n in range(2 * BATCH_MAX + 1)]


def test_the_next_life_publishes_what_the_last_one_left_with_the_same_ids(place: Place, life: Life) -> None:
    place.broker.take_only = [0]
    life.stopping.set()
    with pytest.raises(TransientError):
        life.engine.cycle(several("a both", "b add"), [])
    left: list[StoredEvent] = life.store.unpublished(None, 10)
    place.live().engine.start()
    assert [event.message_id for event in place.broker.sent] == [event.message_id for event in left]


def test_a_fault_while_an_idle_loop_marks_is_retried_like_any_other(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.engine.cycle([said("a add")], [])
    mark, faults = life.store.mark_published, [TransientError("the database went away")]

    def mark_in_vain(seqs: Sequence[int], now_us: int) -> None:
        if faults:
            raise faults.pop()
        mark(seqs, now_us)

    monkeypatch.setattr(life.store, "mark_published", mark_in_vain)
    life.engine.cycle([], [])
    assert len(life.errors) == 1
    assert life.store.unpublished(None, 10) == []
