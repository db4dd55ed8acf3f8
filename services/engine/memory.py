"""The store in memory, for simulation: as durable as the object, which outlives the engines that use it.

It passes the suite of all stores (`tests/test_store*.py`), so that what a simulation shows holds for the real ones. A
transaction stages what it writes, and all of it is applied at the commit. Nothing here depends on the order of a set:
the same calls give the same rows, in every process.
"""

import threading
from collections import ChainMap
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple, TypeVar

from services.engine.participant import IndexRow
from services.engine.store import (
    BACKLOG_MAX,
    Backlog,
    Changes,
    ConflictError,
    DeadLetter,
    DeadLetterStatus,
    Indexed,
    Logged,
    NewEvent,
    NewLogged,
    StateRow,
    StoredEvent,
    Timer,
)

K = TypeVar("K")
V = TypeVar("V")
_GONE = StateRow(-1, "")
"""Stands for an entity that a transaction has dropped."""
_STOPPED = Timer("", "", 0, 0, "")
"""Stands for a timer that a transaction has stopped."""


class _Tables:
    """All rows. `unpublished` has the seqs of unmarked public events, the lowest first."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.published_at_us: list[int | None] = []
        self.unpublished: dict[int, None] = {}
        self.versions: set[tuple[str, int]] = set()
        self.message_ids: set[str] = set()
        self.entities: dict[str, StateRow] = {}
        self.inbox: dict[str, int] = {}
        self.timers: dict[tuple[str, str], Timer] = {}
        self.places: set[tuple[IndexRow, str]] = set()
        self.logged: dict[str, Logged] = {}
        self.logged_count = 0
        self.dead_letters: dict[str, DeadLetter] = {}

    def copy(self) -> "_Tables":
        """Of its own: rows never change, they are replaced."""
        copied = _Tables()
        for name, rows in vars(self).items():
            setattr(copied, name, rows if isinstance(rows, int) else rows.copy())
        return copied

    def event(self, seq: int) -> StoredEvent:
        return StoredEvent(seq, *self.events[seq - 1], self.published_at_us[seq - 1])

    def add_events(self, events: Sequence[NewEvent]) -> None:
        for event in events:
            self.events.append(event)
            self.published_at_us.append(None)
            self.versions.add((event.entity, event.version))
            self.message_ids.add(event.message_id)
            if event.topic is not None:
                self.unpublished[len(self.events)] = None

    def mark(self, seqs: Iterable[int], now_us: int) -> None:
        for seq in seqs:
            self.published_at_us[seq - 1] = now_us
            self.unpublished.pop(seq, None)

    def add_logged(self, log: Iterable[NewLogged]) -> None:
        for new in log:
            if new.message_id not in self.logged:
                self.logged_count += 1
                self.logged[new.message_id] = Logged(self.logged_count, *new)

    def drop_states(self, entities: Collection[str]) -> None:
        for entity in entities:
            self.entities.pop(entity, None)
        self.places = {place for place in self.places if place[1] not in entities}

    def set_status(self, dead_letter_id: str, status: DeadLetterStatus) -> None:
        letter = self.dead_letters.get(dead_letter_id)
        if letter is not None and letter.status == "open":
            self.dead_letters[dead_letter_id] = letter._replace(status=status)


class _Transaction:
    """Reads what it has written itself, and what was committed; others read only the latter.

    turn: of the one transaction; rows: held while rows change or are read, for an instant
    """

    def __init__(self, tables: _Tables, turn: threading.Lock, rows: threading.Lock) -> None:
        self._tables = tables
        self._turn = turn
        self._rows = rows
        self._steps: list[Callable[[], None]] = []
        self._versions: set[tuple[str, int]] = set()
        self._message_ids: set[str] = set()
        self._letters: set[str] = set()
        self._inbox: set[str] = set()
        self._entities: dict[str, StateRow] = {}
        self._timers: dict[tuple[str, str], Timer] = {}

    def __enter__(self) -> "_Transaction":
        self._turn.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                with self._rows:
                    for step in self._steps:
                        step()
        finally:
            self._turn.release()

    def read(self, message_ids: Sequence[str], entities: Sequence[str]) -> tuple[set[str], dict[str, StateRow]]:
        return self.seen(message_ids), self.load(entities)

    def seen(self, message_ids: Sequence[str]) -> set[str]:
        inbox = self._tables.inbox
        return {message_id for message_id in message_ids if message_id in inbox or message_id in self._inbox}

    def due_timers(self, now_us: int, limit: int) -> list[Timer]:
        timers = _over(self._timers, self._tables.timers)
        due = [timer for timer in timers.values() if timer is not _STOPPED and timer.due_us <= now_us]
        return sorted(due, key=lambda timer: (timer.due_us, timer))[:limit]

    def load(self, entities: Sequence[str]) -> dict[str, StateRow]:
        rows = _over(self._entities, self._tables.entities)
        return {entity: rows[entity] for entity in entities if rows.get(entity, _GONE) is not _GONE}

    def write(self, changes: Changes) -> None:
        tables = self._tables
        letters: list[DeadLetter] = []
        events = changes.events
        for letter, told in changes.dead_letters:
            if letter.id not in tables.dead_letters and letter.id not in self._letters:
                self._letters.add(letter.id)
                letters.append(letter)
                events = [*events, told]
        for event in events:
            self._claim(event)
        self._inbox.update(changes.inbox)
        self._entities.update(changes.states)
        self._timers.update(dict.fromkeys(changes.stopped, _STOPPED))
        self._timers.update(changes.timers)
        self._steps.append(lambda: _apply(tables, changes, events, letters))

    def keep_others_out(self) -> None:
        """They are out: there is one transaction at a time."""

    def drop_states(self, entities: Sequence[str]) -> None:
        self._entities.update(dict.fromkeys(entities, _GONE))
        self._steps.append(lambda: self._tables.drop_states(set(entities)))

    def drop_logged(self, message_ids: Sequence[str]) -> None:
        def drop() -> None:
            for message_id in message_ids:
                self._tables.logged.pop(message_id, None)

        self._steps.append(drop)

    def _claim(self, event: NewEvent) -> None:
        """The event's unique keys; a ConflictError if one is taken."""
        tables, version, message_id = self._tables, (event.entity, event.version), event.message_id
        if version in tables.versions or version in self._versions:
            raise ConflictError(f"{event.entity} has a version {event.version}")
        if message_id in tables.message_ids or message_id in self._message_ids:
            raise ConflictError(f"there is an event {message_id}")
        self._versions.add(version)
        self._message_ids.add(message_id)


def _over(staged: dict[K, V], committed: dict[K, V]) -> Mapping[K, V]:
    return ChainMap(staged, committed) if staged else committed


def _apply(tables: _Tables, changes: Changes, events: Sequence[NewEvent], letters: Sequence[DeadLetter]) -> None:
    time_us = changes.time_us
    tables.mark(changes.published, time_us)
    for message_id in changes.inbox:
        tables.inbox.setdefault(message_id, time_us)
    tables.add_events(events)
    tables.entities.update(changes.states)
    for name in changes.stopped:
        tables.timers.pop(name, None)
    tables.timers.update(changes.timers)
    tables.places.difference_update(changes.unindexed)
    tables.places.update(changes.indexed)
    tables.add_logged(changes.log)
    tables.dead_letters.update((letter.id, letter) for letter in letters)
    for dead_letter_id in changes.replayed:
        tables.set_status(dead_letter_id, "replayed")


class MemorySnapshot:
    """`services.engine.store.Snapshot`: the rows as they were when it was taken."""

    def __init__(self, tables: _Tables) -> None:
        self._events = [tables.event(seq + 1) for seq in range(len(tables.events))]
        self._entities = dict(tables.entities)
        self._places = set(tables.places)
        self._logged = dict(tables.logged)

    def events(self) -> Iterator[StoredEvent]:
        return iter(sorted(self._events, key=lambda event: (event.entity, event.version)))

    def states(self) -> Iterator[tuple[str, StateRow]]:
        return iter(sorted(self._entities.items()))

    def places(self) -> Iterator[tuple[IndexRow, str]]:
        return iter(sorted(self._places))

    def logged(self) -> Iterator[NewLogged]:
        return (NewLogged(*logged[1:]) for _, logged in sorted(self._logged.items()))


class Content(NamedTuple):
    """What a store holds, as a value: two stores with the same content go on alike."""

    events: tuple[NewEvent, ...]
    unpublished: tuple[int, ...]
    entities: frozenset[tuple[str, StateRow]]
    inbox: frozenset[str]
    timers: frozenset[Timer]
    places: frozenset[tuple[IndexRow, str]]
    logged: frozenset[str]
    dead_letters: frozenset[tuple[str, DeadLetterStatus]]


class MemoryStore:
    """`services.engine.store.Store` in one process: what uses the same object uses the same store."""

    def __init__(self) -> None:
        self._tables = _Tables()
        self._turn = threading.Lock()
        self._rows = threading.Lock()

    def copy(self) -> "MemoryStore":
        """Another store, with the same rows for a beginning."""
        copied = MemoryStore()
        with self._rows:
            copied._tables = self._tables.copy()
        return copied

    def content(self) -> Content:
        """All rows; but not when an event was marked, and when a message was seen."""
        with self._rows:
            tables = self._tables
            return Content(
                tuple(tables.events),
                tuple(tables.unpublished),
                frozenset(tables.entities.items()),
                frozenset(tables.inbox),
                frozenset(tables.timers.values()),
                frozenset(tables.places),
                frozenset(tables.logged),
                frozenset((letter.id, letter.status) for letter in tables.dead_letters.values()),
            )

    def transaction(self) -> _Transaction:
        return _Transaction(self._tables, self._turn, self._rows)

    def unpublished(self, keys: Iterable[str] | None, limit: int) -> list[StoredEvent]:
        wanted = None if keys is None else set(keys)
        with self._rows:
            tables = self._tables
            found = (seq for seq in tables.unpublished if wanted is None or tables.events[seq - 1].key in wanted)
            return [tables.event(seq) for seq in islice(found, limit)]

    def mark_published(self, seqs: Sequence[int], now_us: int) -> None:
        with self._rows:
            self._tables.mark(seqs, now_us)

    def next_timer_us(self) -> int | None:
        with self._rows:
            return min((timer.due_us for timer in self._tables.timers.values()), default=None)

    def prune_inbox(self, before_us: int, limit: int) -> int:
        with self._rows:
            inbox = self._tables.inbox
            old = sorted((seen_at_us, an_id) for an_id, seen_at_us in inbox.items() if seen_at_us < before_us)[:limit]
            for _, message_id in old:
                del inbox[message_id]
            return len(old)

    def entity(self, entity: str) -> StateRow | None:
        with self._rows:
            return self._tables.entities.get(entity)

    def entities(self, prefix: str, after: str = "", limit: int | None = None) -> dict[str, StateRow]:
        with self._rows:
            rows = self._tables.entities
            names = sorted(name for name in rows if name.startswith(prefix) and name > after)
            return {name: rows[name] for name in names[:limit]}

    def page(
        self, index: str, bucket: str, after: tuple[str, str] | None, limit: int, *, descending: bool = False
    ) -> list[Indexed]:
        with self._rows:
            rows = self._tables.entities
            found = sorted(
                (
                    (row.position, entity)
                    for row, entity in self._tables.places
                    if (row.name, row.bucket) == (index, bucket)
                ),
                reverse=descending,
            )
            if after is not None:
                found = [place for place in found if (place < after if descending else place > after)]
            return [Indexed(*place, rows[place[1]]) for place in found if place[1] in rows][:limit]

    def log(
        self, key: str, type_name: str, after_seq: int | None, limit: int, *, descending: bool = False
    ) -> list[Logged]:
        with self._rows:
            found = [
                logged
                for logged in self._tables.logged.values()
                if key in ("", logged.key) and type_name in ("", logged.type)
            ]
        found.sort(reverse=descending)
        if after_seq is not None:
            found = [logged for logged in found if (logged.seq < after_seq if descending else logged.seq > after_seq)]
        return found[:limit]

    def events(self, entity: str, after_seq: int, limit: int) -> list[StoredEvent]:
        with self._rows:
            tables = self._tables
            behind = range(after_seq + 1, len(tables.events) + 1)
            found = (seq for seq in behind if entity in ("", tables.events[seq - 1].entity))
            return [tables.event(seq) for seq in islice(found, limit)]

    @contextmanager
    def snapshot(self) -> Generator[MemorySnapshot]:
        with self._rows:
            taken = MemorySnapshot(self._tables)
        yield taken

    def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        with self._rows:
            return self._tables.dead_letters.get(dead_letter_id)

    def dead_letters(self, status: DeadLetterStatus | None, after_id: str, limit: int) -> list[DeadLetter]:
        with self._rows:
            letters = self._tables.dead_letters
            ids = sorted(an_id for an_id in letters if an_id > after_id and status in (None, letters[an_id].status))
            return [letters[an_id] for an_id in ids[:limit]]

    def discard(self, dead_letter_id: str) -> None:
        with self._rows:
            self._tables.set_status(dead_letter_id, "discarded")

    def backlog(self) -> Backlog:
        with self._rows:
            tables = self._tables
            times_us = [tables.events[seq - 1].time_us for seq in islice(tables.unpublished, BACKLOG_MAX)]
            letters = sum(letter.status == "open" for letter in tables.dead_letters.values())
            return Backlog(len(times_us), min(times_us, default=None), min(letters, BACKLOG_MAX))

    def listen(self, on_change: Callable[[Collection[str] | None], None]) -> None:
        """There are no others: one process has it."""

    def ping(self) -> None:
        """It is there."""

    def close(self) -> None:
        """The rows stay: who has the object can go on."""
