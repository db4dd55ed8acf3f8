"""What a service keeps, as an interface: one suite (`tests/test_store.py`) says what every store must do.

The event table is the outbox: a public event is a row without `published_at_us` until the broker has acknowledged it.
State, inbox and outgoing events change in one transaction, or not at all.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from services.engine.messages import Record, encode_headers
from services.engine.participant import IndexRow

DeadLetterStatus = Literal["open", "replayed", "discarded"]
BACKLOG_MAX = 10_000


class ConflictError(Exception):
    """A unique key is taken: another writer was faster, or an id is there whose cause is not in the inbox."""


class StateRow(NamedTuple):
    """An entity's version (the number of events that it is the fold of; 0 if there is none) and its state as JSON."""

    version: int
    state: str


class NewEvent(NamedTuple):
    """`topic` is None for a private event; `key` is the Kafka key."""

    entity: str
    version: int
    type: str
    message_id: str
    cause_id: str
    topic: str | None
    key: str
    payload: bytes
    traceparent: str
    time_us: int


class StoredEvent(NamedTuple):
    seq: int
    entity: str
    version: int
    type: str
    message_id: str
    cause_id: str
    topic: str | None
    key: str
    payload: bytes
    traceparent: str
    time_us: int
    published_at_us: int | None

    def headers(self, source: str) -> list[tuple[str, bytes]]:
        """Those of its record, when `source` publishes it."""
        return encode_headers(
            message_id=self.message_id,
            type_name=self.type,
            source=source,
            time_us=self.time_us,
            traceparent=self.traceparent,
            cause_id=self.cause_id,
        )


class Timer(NamedTuple):
    """At most one for each (entity, name); `version` is the entity's when it was started."""

    entity: str
    name: str
    version: int
    due_us: int
    traceparent: str


class Indexed(NamedTuple):
    """An entity as an index gives it."""

    position: str
    entity: str
    row: StateRow


class NewLogged(NamedTuple):
    """An event that a read model keeps in its event log; `key` is the Kafka key, `source` the service that said it."""

    message_id: str
    type: str
    key: str
    source: str
    time_us: int
    cause_id: str
    traceparent: str
    payload: bytes


class Logged(NamedTuple):
    seq: int
    message_id: str
    type: str
    key: str
    source: str
    time_us: int
    cause_id: str
    traceparent: str
    payload: bytes


class Backlog(NamedTuple):
    """What is still to be done: unmarked public events, the time of the oldest, open dead letters.

    Counts end at `BACKLOG_MAX`: so many are far too many, and counting must stay cheap.
    """

    unpublished: int
    oldest_us: int | None
    dead_letters: int


class DeadLetter(NamedTuple):
    id: str
    status: DeadLetterStatus
    cause: str
    record: Record
    time_us: int


@dataclass(slots=True)
class Changes:
    """All that one transaction writes.

    stopped: (entity, name) of timers that end, fired ones among them; applied before `timers`
    dead_letters: with the event that tells their topic; those whose id is there already are dropped
    replayed: ids of dead letters
    unindexed, indexed: (row, entity) of a read model's indexes that go, and that come
    log: events that a read model keeps; those whose id is there already are dropped
    published: seqs of events that are to be marked
    """

    time_us: int
    inbox: set[str] = field(default_factory=set[str])
    events: list[NewEvent] = field(default_factory=list[NewEvent])
    states: dict[str, StateRow] = field(default_factory=dict[str, StateRow])
    stopped: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    timers: dict[tuple[str, str], Timer] = field(default_factory=dict[tuple[str, str], Timer])
    dead_letters: list[tuple[DeadLetter, NewEvent]] = field(default_factory=list[tuple[DeadLetter, NewEvent]])
    replayed: list[str] = field(default_factory=list[str])
    unindexed: list[tuple[IndexRow, str]] = field(default_factory=list[tuple[IndexRow, str]])
    indexed: list[tuple[IndexRow, str]] = field(default_factory=list[tuple[IndexRow, str]])
    log: list[NewLogged] = field(default_factory=list[NewLogged])
    published: list[int] = field(default_factory=list[int])


class Transaction(Protocol):
    """The one transaction of a batch. Every method may raise TransientError and ConflictError.

    What it was told is not there (an id, an entity) may be there by the time it writes, where several replicas write
    one store: then there is a ConflictError, and all has to be read again.
    """

    def read(self, message_ids: Sequence[str], entities: Sequence[str]) -> tuple[set[str], dict[str, StateRow]]:
        """`seen` and `load` at once: the rows are locked before the inbox is asked."""
        ...

    def seen(self, message_ids: Sequence[str]) -> set[str]:
        """Those of the ids that the inbox has."""
        ...

    def due_timers(self, now_us: int, limit: int) -> list[Timer]:
        """The timers that are due, the longest first."""
        ...

    def load(self, entities: Sequence[str]) -> dict[str, StateRow]:
        """The rows of those entities that exist, locked until the transaction ends."""
        ...

    def write(self, changes: Changes) -> None: ...

    def keep_others_out(self) -> None:
        """Waits for the transactions of others, and lets none of them read or write before this one has ended.

        Only a Rebuild needs it, and what it reads it reads afterwards.
        """
        ...

    def drop_states(self, entities: Sequence[str]) -> None:
        """Makes these entities ones that nothing has happened to, in no index. Only a Rebuild needs it."""
        ...

    def drop_logged(self, message_ids: Sequence[str]) -> None:
        """Takes these events out of the event log. Only a Rebuild needs it."""
        ...


class Store(Protocol):
    """Everything else. Methods may be called from any thread, and raise TransientError where a fault may pass."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commits at the end of the block, durably; an exception rolls everything back."""
        ...

    def unpublished(self, keys: Iterable[str] | None, limit: int) -> list[StoredEvent]:
        """Public events that are not marked, of these Kafka keys or of all, the lowest seq first."""
        ...

    def mark_published(self, seqs: Sequence[int], now_us: int) -> None:
        """Need not be durable at once: an event that is published again has the same id."""
        ...

    def next_timer_us(self) -> int | None:
        """When the next timer is due."""
        ...

    def prune_inbox(self, before_us: int, limit: int) -> int:
        """Drops at most `limit` rows that are older; returns how many."""
        ...

    def entity(self, entity: str) -> StateRow | None: ...

    def entities(self, prefix: str, after: str = "", limit: int | None = None) -> dict[str, StateRow]:
        """The entities whose name begins with `prefix`, which is not empty, and is behind `after`; all without `limit`.

        By their names, code point by code point.
        """
        ...

    def page(
        self, index: str, bucket: str, after: tuple[str, str] | None, limit: int, *, descending: bool = False
    ) -> list[Indexed]:
        """Entities of a bucket in the order of (position, entity), code point by code point, behind `after`."""
        ...

    def log(
        self, key: str, type_name: str, after_seq: int | None, limit: int, *, descending: bool = False
    ) -> list[Logged]:
        """The event log in the order of seq, behind `after_seq`: of one key and of one type, or with '' of all."""
        ...

    def events(self, entity: str, after_seq: int, limit: int) -> list[StoredEvent]:
        """Events behind `after_seq` in the order of seq, of one entity or, with '', of all."""
        ...

    def snapshot(self) -> AbstractContextManager["Snapshot"]:
        """One consistent view of all events and states, while others write."""
        ...

    def dead_letter(self, dead_letter_id: str) -> DeadLetter | None: ...

    def dead_letters(self, status: DeadLetterStatus | None, after_id: str, limit: int) -> list[DeadLetter]:
        """In the order of their ids, behind `after_id`."""
        ...

    def discard(self, dead_letter_id: str) -> None:
        """Marks an open dead letter as discarded; another is left alone."""
        ...

    def backlog(self) -> Backlog: ...

    def listen(self, on_change: Callable[[Collection[str] | None], None]) -> None:
        """From now on tells of what others commit, on a thread of its own: of entities, or with None of any.

        Nothing is missed: after a time in which it could not listen, it tells of any.
        """
        ...

    def ping(self) -> None:
        """TransientError if the database does not answer."""
        ...

    def close(self) -> None: ...


class Snapshot(Protocol):
    def events(self) -> Iterator[StoredEvent]:
        """By entity, and by version inside an entity."""
        ...

    def states(self) -> Iterator[tuple[str, StateRow]]:
        """By entity, in the order of code points."""
        ...

    def places(self) -> Iterator[tuple[IndexRow, str]]:
        """The rows of all indexes, each with its entity, in the order of code points."""
        ...

    def logged(self) -> Iterator[NewLogged]:
        """The event log by message id, in the order of code points."""
        ...
