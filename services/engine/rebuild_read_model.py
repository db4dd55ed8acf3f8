"""Folding a read model again from the beginning of its topics, and comparing with what it has stored: its states, their
places in its indexes, its event log.

A read model stores no events: its state is the fold of the records that it has handled. Which those are, its committed
offsets and its inbox say, and nothing else: every record before the committed offset of its partition, and of those
behind it (offsets are committed late) every one whose id is in the inbox, which changes in the same transaction as the
states. The dead letters among them are left out, but for those that were replayed.

It runs while the service goes on. Only the end of the topics is read, and the comparison made, while the service is
held, and other replicas kept out; then nothing can change the states but the transaction that compares and repairs.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from heapq import merge
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from services.engine.batch import decode_state
from services.engine.mailbox import Mailbox
from services.engine.messages import Record
from services.engine.observer import Position
from services.engine.participant import IndexRow, Participant
from services.engine.rebuild import same
from services.engine.retry import TransientError
from services.engine.shadow import Shadow, shadow
from services.engine.store import Changes, DeadLetter, DeadLetterStatus, NewLogged, StateRow, Store, Transaction
from services.engine.topic_reader import Place, Reader, RecordsGone

WITHIN_S = 540.0
"""For the whole, which reads every record that there is."""
HELD_WITHIN_S = 60.0
"""For what is done while the service is held."""
SETTLE_WITHIN_S = 5.0
POSITIONS_WITHIN_S = 5.0
CATCH_UPS_MAX = 10
NEAR = 1000
"""Records behind which are few enough to hold the service for them."""
CHUNK = 1000
"""States that are compared between two looks at the deadline."""
PAGE = 20
"""Dead letters, which may be large, that are read at once."""
NAMED_MAX = 100

log = logging.getLogger(__name__)
Check = Callable[[], None]
K = TypeVar("K", bound=Any)
R = TypeVar("R")


class Refused(Exception):
    """It cannot be done as things are."""


class Compared(NamedTuple):
    """entities: that the read model should have; records: read from the topics
    different: the first NAMED_MAX of those that are missing, too many, in another state or version, or at another place
        in an index; and of events that are missing, too many or other in the log, as `log/<id>`
    """

    entities: int
    records: int
    different: list[str]
    different_count: int
    repaired: bool


class Pair(NamedTuple, Generic[K, R]):
    """A row as it is stored and as it should be, and what tells it apart; None where there is none."""

    name: K
    stored: R | None
    right: R | None


def is_read_model(participant: Participant) -> bool:
    """Whether it stores no events of its own."""
    return not any(hasattr(cls, "DESCRIPTOR") for cls in participant.folds)


class ReadModelRebuild:
    """What a Rebuild of one process's read model needs. Called on any thread but the event loop's; see the module.

    settle:      `Runner.settle`
    positions:   `KafkaObserver.positions`
    open_reader: gives a reader that stands at the beginning of the topics
    shadow_path: where the second store may be
    stopping:    set when the process ends
    """

    def __init__(
        self,
        participant: Participant,
        store: Store,
        mailbox: Mailbox,
        settle: Callable[[float], bool],
        positions: Callable[[float], Sequence[Position]],
        open_reader: Callable[[], Reader],
        shadow_path: Path,
        stopping: threading.Event,
    ) -> None:
        self._participant = participant
        self._store = store
        self._mailbox = mailbox
        self._settle = settle
        self._read_positions = positions
        self._open_reader = open_reader
        self._shadow_path = shadow_path
        self._stopping = stopping
        self._one_at_a_time = threading.Lock()

    def __call__(self, repair: bool, cancelled: threading.Event) -> Compared:
        """Compares, and with `repair` puts right, all or nothing. Ends soon after `cancelled` is set.

        Raises Refused (also while another one is at work), TimeoutError, and TransientError if broker or database do
        not answer. However it ends, the service goes on, unless an operator has paused it.
        """
        if not self._one_at_a_time.acquire(blocking=False):
            raise Refused("another Rebuild is at work")
        try:
            with shadow(self._participant, self._shadow_path) as empty, closing(self._open_reader()) as reader:
                return self._rebuild(empty, reader, repair, cancelled)
        except RecordsGone as error:
            raise Refused(str(error)) from error
        finally:
            self._one_at_a_time.release()

    def _rebuild(self, shadow: Shadow, reader: Reader, repair: bool, cancelled: threading.Event) -> Compared:
        left_out = {letter.id for letter in self._dead_letters(None)}
        records_read = 0

        def fold(upto: Mapping[Place, int], check: Check, handled: Callable[[list[Record]], list[Record]]) -> None:
            nonlocal records_read
            for records in reader.read(upto, check):
                records_read += len(records)
                shadow.fold(record for record in handled(records) if left_out.isdisjoint(_ids(record)))

        check = self._deadline(WITHIN_S, cancelled)
        for _ in range(CATCH_UPS_MAX):
            committed, _ = self._positions()
            if reader.behind(committed) <= NEAR:
                break
            fold(committed, check, lambda records: records)
        with self._held():
            check = self._deadline(HELD_WITHIN_S, cancelled)
            with self._store.transaction() as transaction:
                transaction.keep_others_out()
                committed, ends = self._positions()
                fold(committed, check, lambda records: records)
                fold(ends, check, lambda records: _in_inbox(transaction, records))
                by_hand = self._replay(shadow)
                if by_hand and repair:
                    raise Refused(
                        f"dead letter {by_hand} was replayed with a payload that no topic has: it would be lost"
                    )
                return self._compare(shadow, transaction if repair else None, records_read, check)

    def _positions(self) -> tuple[dict[Place, int], dict[Place, int]]:
        """The committed offsets, and the ends."""
        positions = self._read_positions(POSITIONS_WITHIN_S)
        missing = set(self._participant.topics) - {position.topic for position in positions}
        if missing:
            raise TransientError(f"the broker does not know the topics {sorted(missing)}")
        for topic, partition, offset, end in positions:
            if offset > end:
                raise Refused(f"{topic}/{partition} ends at {end}, and its records up to {offset} were handled")
        committed = {(position.topic, position.partition): position.offset for position in positions}
        return committed, {(position.topic, position.partition): position.end for position in positions}

    @contextmanager
    def _held(self) -> Generator[None]:
        """No record is handled inside; the batch that was begun before is done."""
        begun_s = time.monotonic()
        self._mailbox.hold(True, by="rebuild")
        try:
            if not self._settle(SETTLE_WITHIN_S):
                raise TransientError(f"the service did not finish its batch within {SETTLE_WITHIN_S} s")
            yield
        finally:
            self._mailbox.hold(False, by="rebuild")
            log.info("held for a rebuild", extra={"held_s": round(time.monotonic() - begun_s, 3)})

    def _deadline(self, within_s: float, cancelled: threading.Event) -> Check:
        deadline_s = time.monotonic() + within_s

        def check() -> None:
            if self._stopping.is_set():
                raise TransientError("the service is stopping")
            if cancelled.is_set():
                raise TransientError("nobody waits for the answer")
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not done within {within_s} s")

        return check

    def _replay(self, shadow: Shadow) -> str:
        """Folds the dead letters that were replayed; the id of one of which that cannot be done, or ''."""
        by_hand = ""
        for letter in self._dead_letters("replayed"):
            shadow.fold([letter.record.with_id(letter.id)])
            if shadow.could_not_fold(letter.record, letter.id):
                by_hand = letter.id
        return by_hand

    def _dead_letters(self, status: DeadLetterStatus | None) -> Iterator[DeadLetter]:
        after_id = ""
        while page := self._store.dead_letters(status, after_id, PAGE):
            yield from page
            after_id = page[-1].id

    def _compare(self, shadow: Shadow, repairing: Transaction | None, records: int, check: Check) -> Compared:
        found = _Found()
        entities = 0
        with self._store.snapshot() as stored, shadow.store.snapshot() as right:
            for states in _chunks(pair_up(stored.states(), right.states()), check):
                entities += sum(pair.right is not None for pair in states)
                wrong = [pair for pair in states if not same(pair.stored, pair.right)]
                found.add_entities(pair.name for pair in wrong)
                if repairing and wrong:
                    _put_right(self._participant, repairing, wrong)
            if self._participant.indexes is not None:
                for places in _chunks(pair_up(_named(stored.places()), _named(right.places())), check):
                    wrong = [pair for pair in places if pair.stored is None or pair.right is None]
                    found.add_entities(pair.name[-1] for pair in wrong)
                    if repairing and wrong:
                        _put_places_right(repairing, wrong)
            if self._participant.keeps_log:
                for events in _chunks(pair_up(_by_id(stored.logged()), _by_id(right.logged())), check):
                    wrong = [pair for pair in events if pair.stored != pair.right]
                    found.add_events(pair.name for pair in wrong)
                    if repairing and wrong:
                        _put_log_right(repairing, wrong)
        return Compared(entities, records, found.names, found.count, bool(repairing and found.count))


class _Found:
    """What is different: how many, and the first NAMED_MAX by name. An entity in a wrong place too counts once."""

    def __init__(self) -> None:
        self._entities: set[str] = set()
        self.names: list[str] = []
        self.count = 0

    def add_entities(self, entities: Iterable[str]) -> None:
        for entity in entities:
            if entity not in self._entities:
                self._entities.add(entity)
                self._add(entity)

    def add_events(self, message_ids: Iterable[str]) -> None:
        for message_id in message_ids:
            self._add(f"log/{message_id}")

    def _add(self, name: str) -> None:
        self.count += 1
        if len(self.names) < NAMED_MAX:
            self.names.append(name)


def _chunks(pairs: Iterator[Pair[K, R]], check: Check) -> Iterator[list[Pair[K, R]]]:
    while some := list(islice(pairs, CHUNK)):
        check()
        yield some


def _named(places: Iterable[tuple[IndexRow, str]]) -> Iterator[tuple[tuple[str, ...], IndexRow]]:
    return (((*row, entity), row) for row, entity in places)


def _by_id(events: Iterable[NewLogged]) -> Iterator[tuple[str, NewLogged]]:
    return ((event.message_id, event) for event in events)


def pair_up(stored: Iterable[tuple[K, R]], right: Iterable[tuple[K, R]]) -> Iterator[Pair[K, R]]:
    """Every row of both, which come in the order of their names, in that order."""
    both = merge(((name, 0, row) for name, row in stored), ((name, 1, row) for name, row in right))
    for name, rows in groupby(both, key=lambda side: side[0]):
        by_side = {side: row for _, side, row in rows}
        yield Pair(name, by_side.get(0), by_side.get(1))


def _put_right(participant: Participant, transaction: Transaction, wrong: Sequence[Pair[str, StateRow]]) -> None:
    """With their places in the indexes: nobody knows what those of a wrong state are."""
    transaction.drop_states([pair.name for pair in wrong])
    changes = Changes(0)
    for entity, _, row in wrong:
        if row is not None:
            changes.states[entity] = row
            if participant.indexes is not None:
                state = decode_state(participant.kinds[entity.partition("/")[0]], row.state)
                changes.indexed += [(place, entity) for place in participant.indexes(state)]
    transaction.write(changes)


def _put_places_right(transaction: Transaction, wrong: Sequence[Pair[tuple[str, ...], IndexRow]]) -> None:
    changes = Changes(0)
    changes.unindexed = [(pair.stored, pair.name[-1]) for pair in wrong if pair.stored is not None]
    changes.indexed = [(pair.right, pair.name[-1]) for pair in wrong if pair.right is not None]
    transaction.write(changes)


def _put_log_right(transaction: Transaction, wrong: Sequence[Pair[str, NewLogged]]) -> None:
    """What was missing comes to the end of the log."""
    transaction.drop_logged([pair.name for pair in wrong if pair.stored is not None])
    transaction.write(Changes(0, log=[pair.right for pair in wrong if pair.right is not None]))


def _in_inbox(transaction: Transaction, records: Sequence[Record]) -> list[Record]:
    seen = transaction.seen(sorted({an_id for record in records for an_id in _ids(record)}))
    return [record for record in records if not seen.isdisjoint(_ids(record))]


def _ids(record: Record) -> set[str]:
    """What its row in the inbox may be called."""
    return {record.place, record.headers.get("ce_id", b"").decode("utf-8", "replace")}
