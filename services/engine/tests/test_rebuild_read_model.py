"""Rebuild of a read model: which records count as handled, what is compared, and that the service always goes on."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.engine import rebuild_read_model
from services.engine.mailbox import Mailbox
from services.engine.messages import Record, decode
from services.engine.observer import Position
from services.engine.participant import CannotHappen, Effect, Fold, Handler, Participant, States, key
from services.engine.rebuild_read_model import Pair, ReadModelRebuild, Refused, is_read_model, pair_up
from services.engine.retry import TransientError
from services.engine.store import Changes, StateRow
from services.engine.tests.lives import Life, Place
from services.engine.tests.toy import SAID, Answers, Counter, Do, keys_of, said, several, toy, translate
from services.engine.topic_reader import Place as Partition

ONE = StateRow(1, '{"count":1}')
TWO = StateRow(2, '{"count":2}')
LONG_S = 20.0
"""Longer than any wait that ends by itself: a test that needs it fails."""


def tally(*wrong: str) -> Participant:
    """A read model that counts; it cannot handle what is `wrong`."""

    def note(_: States, command: Do) -> Iterable[Effect]:
        if command.what in wrong:
            raise CannotHappen(command.what)
        yield Fold(key(Counter, command.name), command)

    def counted(state: Counter, _: Do) -> Counter:
        return msgspec.structs.replace(state, count=state.count + 1)

    return Participant(
        name="tally",
        topics=["said"],
        consumes={SAID: (StringValue, translate)},
        handlers={Do: Handler(keys_of, note)},
        folds={Do: counted},
        states=(Counter,),
    )


class Topic:
    """The one partition of the topic `said`, and where the service's group stands in it."""

    def __init__(self, *texts: str) -> None:
        self.records = several(*texts)
        self.committed = 0

    def positions(self, _: float) -> Sequence[Position]:
        return [Position("said", 0, self.committed, len(self.records))]

    def open(self) -> "TopicReader":
        return TopicReader(self)


class TopicReader:
    """`services.engine.topic_reader.Reader` of a `Topic`, three records at a time."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._next = 0

    def behind(self, upto: Mapping[Partition, int]) -> int:
        return max(0, upto["said", 0] - self._next)

    def read(self, upto: Mapping[Partition, int], check: Callable[[], None]) -> Iterator[list[Record]]:
        while self.behind(upto):
            check()
            begin, self._next = self._next, min(self._next + 3, upto["said", 0])
            yield self._topic.records[begin : self._next]

    def close(self) -> None:
        pass


class Service:
    """A read model that handles a topic, and its Rebuild."""

    def __init__(self, place: Place, folder: Path, topic: Topic, participant: Participant | None = None) -> None:
        self.life: Life = place.live(participant or tally())
        self.topic = topic
        self.mailbox = Mailbox()
        self.settled = True
        self.stopping = threading.Event()
        self.shadow_path = folder / "shadow.db"
        self.now(participant or tally())

    def now(self, participant: Participant) -> None:
        """From now on this is its code."""
        self.rebuild = ReadModelRebuild(
            participant,
            self.life.store,
            self.mailbox,
            lambda _: self.settled,
            lambda within_s: self.topic.positions(within_s),  # noqa: PLW0108 a test may replace it
            self.topic.open,
            self.shadow_path,
            self.stopping,
        )

    def handle(self, count: int, committed: int) -> None:
        self.life.engine.cycle(self.topic.records[:count], [])
        self.topic.committed = committed

    def different(self, repair: bool = False) -> list[str]:
        result = self.rebuild(repair, threading.Event())
        assert len(result.different) == result.different_count
        assert result.repaired == (repair and result.different_count > 0)
        return result.different

    def put(self, entity: str, row: StateRow) -> None:
        with self.life.store.transaction() as transaction:
            transaction.write(Changes(0, states={entity: row}))

    def drop(self, entity: str) -> None:
        with self.life.store.transaction() as transaction:
            transaction.drop_states([entity])

    @property
    def states(self) -> dict[str, StateRow]:
        return self.life.store.entities("counter/")


@pytest.fixture
def service(place: Place, tmp_path: Path) -> Service:
    """It has handled all of its topic."""
    service = Service(place, tmp_path, Topic("a add", "b add", "a add", "c add"))
    service.handle(4, committed=4)
    return service


def test_a_read_model_is_what_stores_no_events() -> None:
    assert is_read_model(tally())
    assert not is_read_model(toy())


def test_what_nobody_touched_is_as_the_topics_say(service: Service) -> None:
    result = service.rebuild(True, threading.Event())
    assert result == (3, 4, [], 0, False)


def test_missing_extra_and_other_states_and_versions_are_found_and_put_right(service: Service) -> None:
    right = service.states
    assert right == {"counter/a": TWO, "counter/b": ONE, "counter/c": ONE}
    service.put("counter/a", StateRow(2, '{"count":7}'))
    service.put("counter/b", StateRow(9, '{"count":1}'))
    service.put("counter/0", ONE)
    service.drop("counter/c")
    wrong = ["counter/0", "counter/a", "counter/b", "counter/c"]
    assert service.different() == wrong
    assert service.different(repair=True) == wrong
    assert service.states == right
    assert service.different() == []


def test_names_and_rows_have_a_bound_and_the_count_has_none(place: Place, tmp_path: Path) -> None:
    service = Service(place, tmp_path, Topic(*[f"n{n:04} add" for n in range(2300)]))
    service.topic.committed = 2300
    result = service.rebuild(True, threading.Event())
    assert (result.entities, result.different_count, len(result.different)) == (2300, 2300, 100)
    assert service.different() == []


# Which records count


def test_what_is_committed_or_in_the_inbox_counts_and_nothing_else(place: Place, tmp_path: Path) -> None:
    service = Service(place, tmp_path, Topic("a add", "b add", "a add", "c add", "a add"))
    service.handle(3, committed=1)
    assert service.different(repair=True) == []
    assert service.states == {"counter/a": TWO, "counter/b": ONE}


def test_what_comes_again_counts_once(place: Place, tmp_path: Path) -> None:
    service = Service(place, tmp_path, Topic("a add", "a add"))
    service.topic.records += [said("a add", "said-0", offset=2), said("a add", "said-1", offset=3)]
    service.handle(4, committed=3)
    assert service.different(repair=True) == []
    assert service.states == {"counter/a": TWO}


def test_a_dead_letter_counts_only_when_it_was_replayed(place: Place, tmp_path: Path) -> None:
    service = Service(place, tmp_path, Topic("a add", "a odd", "b odd"), tally("odd"))
    service.handle(3, committed=3)
    assert service.life.dead_letters() == ["said-1", "said-2"]
    assert service.different() == []
    service.life = place.live(tally())
    service.now(tally())
    assert service.different(repair=True) == [], "the code of today could handle them, but nobody asked it to"
    replay(service, "said-1", service.topic.records[1])
    assert service.different(repair=True) == []
    assert service.states == {"counter/a": TWO}


def test_what_was_corrected_by_hand_is_on_no_topic_so_nothing_is_repaired(place: Place, tmp_path: Path) -> None:
    service = Service(place, tmp_path, Topic("a add", "a odd"), tally("odd"))
    service.handle(2, committed=2)
    replay(service, "said-1", said("b add", "said-1"))
    assert service.different() == ["counter/b"]
    with pytest.raises(Refused, match="said-1"):
        service.different(repair=True)
    assert service.states == {"counter/a": ONE, "counter/b": ONE}


def replay(service: Service, letter_id: str, record: Record) -> None:
    message = decode(record, tally())
    assert message is not None
    message.replay, message.answer = letter_id, Answers()
    service.life.engine.cycle([], [message])


# It ends, and the service goes on


def test_an_operators_pause_stays_and_is_not_ended_by_a_rebuild(service: Service) -> None:
    service.mailbox.hold(True)
    service.different()
    assert service.mailbox.held
    service.mailbox.hold(False)
    service.different()
    assert not service.mailbox.held


def test_a_batch_that_does_not_end_is_a_fault_that_may_pass(service: Service) -> None:
    service.settled = False
    with pytest.raises(TransientError, match="did not finish"):
        service.different()
    assert not service.mailbox.held


def test_a_topic_that_is_missing_or_has_lost_its_end_repairs_nothing(service: Service) -> None:
    service.topic.committed = 5
    with pytest.raises(Refused, match="said/0 ends at 4"):
        service.different(repair=True)
    service.topic.positions = lambda _: []
    with pytest.raises(TransientError, match="said"):
        service.different(repair=True)
    assert len(service.states) == 3


def test_it_ends_when_the_process_or_the_caller_does_or_time_is_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(TransientError, match="nobody waits"):
        service.rebuild(False, cancelled)
    monkeypatch.setattr(rebuild_read_model, "HELD_WITHIN_S", -1.0)
    with pytest.raises(TimeoutError):
        service.different()
    service.stopping.set()
    with pytest.raises(TransientError, match="stopping"):
        service.different()
    assert not service.mailbox.held


def test_a_second_one_is_refused_while_the_first_is_at_work(service: Service) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def positions(_: float) -> Sequence[Position]:
        begun.set()
        assert go_on.wait(LONG_S)
        return [Position("said", 0, 4, 4)]

    service.topic.positions = positions
    first = threading.Thread(target=service.different)
    first.start()
    assert begun.wait(LONG_S)
    with pytest.raises(Refused, match="another Rebuild"):
        service.different()
    go_on.set()
    first.join(LONG_S)
    assert service.different() == []


def test_what_a_crash_left_is_overwritten_and_nothing_is_left(service: Service) -> None:
    service.shadow_path.write_text("not a database")
    assert service.different() == []
    assert list(service.shadow_path.parent.glob("shadow*")) == []


def test_entities_of_two_sides_are_paired_by_name() -> None:
    stored, right = {"a": ONE, "c": ONE}, {"b": TWO, "c": TWO}
    pairs = list(pair_up(stored.items(), right.items()))
    assert pairs == [Pair("a", ONE, None), Pair("b", None, TWO), Pair("c", ONE, TWO)]
