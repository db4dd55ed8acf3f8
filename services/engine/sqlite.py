"""The store on SQLite: a file for each service, WAL, every transaction on disk before it is answered.

Statements are written in SQLAlchemy Core, and compiled once: what a batch needs goes to the driver as it is, since
SQLAlchemy's work for each execution costs more than SQLite's own. Everything that is rare goes by SQLAlchemy.
"""

import sqlite3
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam, exc, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.event import listen

from services.engine.reads import SqlReads, dead_letter_row
from services.engine.retry import TransientError
from services.engine.schema import (
    DEAD_LETTERS,
    ENTITIES,
    ENTITY_INDEX,
    EVENT_LOG,
    EVENTS,
    INBOX,
    METADATA,
    TIMERS,
    UNPUBLISHED,
)
from services.engine.store import (
    Changes,
    ConflictError,
    DeadLetter,
    NewEvent,
    StateRow,
    StoredEvent,
    Timer,
)

BUSY_TIMEOUT_S = 5
STATEMENTS_CACHED = 256
CHECKPOINT_PAGES = 4000
"""Of 4 KiB: the more, the more often a page changes before it is copied."""
CACHE_KIB = 8192
"""Of each connection, at most."""


class _Statement:
    """A statement in SQLite's words. `row` puts named values in the places of its parameters."""

    def __init__(self, statement: Any) -> None:
        compiled: Any = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        self.sql = str(compiled)
        self._names: list[str] = compiled.positiontup or []
        self._constants: dict[str, Any] = compiled.params

    def row(self, **values: Any) -> tuple[Any, ...]:
        return tuple(values[name] if name in values else self._constants[name] for name in self._names)


def _among(name: str) -> Any:
    """A list bound as one JSON parameter, so that a statement is compiled once for every length."""
    return select(sa.func.json_each(bindparam(name)).table_valued("value").c.value)


def _json(values: Iterable[Any]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _insert(table: sa.Table, *, generated: Sequence[str] = ()) -> Any:
    """Takes a value for each column in the table's order, but for those that are generated."""
    return insert(table).values({c.name: bindparam(c.name) for c in table.columns if c.name not in generated})


def _upsert(table: sa.Table) -> Any:
    statement = _insert(table)
    values = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values)


def _delete_row(table: sa.Table) -> Any:
    """Takes a value for each column of the primary key, in the table's order."""
    return table.delete().where(*(column == bindparam(f"the_{column.name}") for column in table.primary_key.columns))


_SEEN = _Statement(select(INBOX.c.message_id).where(INBOX.c.message_id.in_(_among("ids"))))
_DUE = _Statement(
    select(TIMERS).where(TIMERS.c.due_us <= bindparam("now_us")).order_by(TIMERS.c.due_us).limit(bindparam("most"))
)
_LOAD = _Statement(select(ENTITIES).where(ENTITIES.c.entity.in_(_among("entities"))))
# A replayed dead letter may have its row already.
_SAVE_INBOX = _Statement(_insert(INBOX).on_conflict_do_nothing())
_SAVE_EVENTS = _Statement(_insert(EVENTS, generated=("seq", "published_at_us")))
_SAVE_STATES = _Statement(_upsert(ENTITIES))
_STOP_TIMERS = _Statement(_delete_row(TIMERS))
_SAVE_TIMERS = _Statement(_upsert(TIMERS))
_UNINDEX = _Statement(_delete_row(ENTITY_INDEX))
_INDEX = _Statement(_insert(ENTITY_INDEX).on_conflict_do_nothing())
_SAVE_LOG = _Statement(_insert(EVENT_LOG, generated=("seq",)).on_conflict_do_nothing())
_SAVE_DEAD_LETTER = _Statement(_insert(DEAD_LETTERS).on_conflict_do_nothing())
# Ordered by an expression, or SQLite would go through all events by seq and not through the index of the unmarked.
_UNPUBLISHED_ALL = select(EVENTS).where(UNPUBLISHED).order_by(EVENTS.c.seq + 0).limit(bindparam("most"))
_UNPUBLISHED = _Statement(_UNPUBLISHED_ALL)
# In the order of the index and of any number: sorting whole rows in SQLite costs more than reading them.
_UNPUBLISHED_OF = _Statement(select(EVENTS).where(UNPUBLISHED, EVENTS.c.key.in_(_among("keys"))))
_MARK = _Statement(EVENTS.update().where(EVENTS.c.seq.in_(_among("seqs"))).values(published_at_us=bindparam("now_us")))
_NEXT_TIMER = _Statement(select(sa.func.min(TIMERS.c.due_us)))
_DROP_STATES = _Statement(ENTITIES.delete().where(ENTITIES.c.entity.in_(_among("entities"))))
_DROP_INDEXED = _Statement(ENTITY_INDEX.delete().where(ENTITY_INDEX.c.entity.in_(_among("entities"))))
_DROP_LOGGED = _Statement(EVENT_LOG.delete().where(EVENT_LOG.c.message_id.in_(_among("message_ids"))))
_SET_STATUS = _Statement(
    DEAD_LETTERS.update()
    .where(DEAD_LETTERS.c.id == bindparam("dead_letter_id"), DEAD_LETTERS.c.status == "open")
    .values(status=bindparam("new_status"))
)
_PRUNE = _Statement(
    INBOX.delete().where(
        INBOX.c.message_id.in_(
            select(INBOX.c.message_id)
            .where(INBOX.c.seen_at_us < bindparam("before_us"))
            .order_by(INBOX.c.seen_at_us)
            .limit(bindparam("most"))
        )
    )
)


@contextmanager
def _translated() -> Generator[None]:
    """SQLite's errors, and SQLAlchemy's, as ours."""
    try:
        yield
    except (exc.IntegrityError, sqlite3.IntegrityError) as error:
        raise ConflictError(str(getattr(error, "orig", error))) from error
    except (exc.OperationalError, exc.TimeoutError, sqlite3.OperationalError) as error:
        raise TransientError(f"the database: {error}") from error


def _configure(connection: sqlite3.Connection, synchronous: str) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


class _Connection:
    """For one transaction at a time, from any thread."""

    def __init__(self, path: str, begin: str, synchronous: str) -> None:
        self._begin = begin
        self._turn = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, cached_statements=STATEMENTS_CACHED
        )
        _configure(self._connection, synchronous)

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Cursor]:
        """Commits at the end of the block; an exception rolls everything back."""
        with self._turn, _translated():
            cursor = self._connection.cursor()
            cursor.execute(self._begin)
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def read(self, sql: str, row: Sequence[Any] = ()) -> list[Any]:
        with self._turn, _translated():
            return self._connection.execute(sql, row).fetchall()

    def close(self) -> None:
        with self._turn:
            self._connection.close()


def _readers(path: str) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S}, pool_timeout=30
    )

    def configure(connection: Any, _record: Any) -> None:
        _configure(connection, "NORMAL")

    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    listen(engine, "connect", configure)
    listen(engine, "begin", begin)
    return engine


class _Transaction:
    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def read(self, message_ids: Sequence[str], entities: Sequence[str]) -> tuple[set[str], dict[str, StateRow]]:
        seen = self.seen(message_ids) if message_ids else set[str]()
        return seen, self.load(entities) if entities else {}

    def seen(self, message_ids: Sequence[str]) -> set[str]:
        return {row[0] for row in self._cursor.execute(_SEEN.sql, (_json(message_ids),))}

    def due_timers(self, now_us: int, limit: int) -> list[Timer]:
        return [Timer(*row) for row in self._cursor.execute(_DUE.sql, _DUE.row(now_us=now_us, most=limit))]

    def load(self, entities: Sequence[str]) -> dict[str, StateRow]:
        rows = self._cursor.execute(_LOAD.sql, (_json(entities),))
        return {entity: StateRow(version, state) for entity, version, state in rows}

    def write(self, changes: Changes) -> None:
        many = self._cursor.executemany
        time_us = changes.time_us
        events = changes.events
        if changes.dead_letters:
            events = events + list(self._write_dead_letters(changes.dead_letters))
        if changes.published:
            self._cursor.execute(_MARK.sql, (time_us, _json(changes.published)))
        if changes.inbox:
            many(_SAVE_INBOX.sql, [(message_id, time_us) for message_id in sorted(changes.inbox)])
        if events:
            many(_SAVE_EVENTS.sql, events)
        if changes.states:
            many(_SAVE_STATES.sql, [(entity, *row) for entity, row in sorted(changes.states.items())])
        if changes.stopped:
            many(_STOP_TIMERS.sql, sorted(changes.stopped))
        if changes.timers:
            many(_SAVE_TIMERS.sql, sorted(changes.timers.values()))
        if changes.unindexed:
            many(_UNINDEX.sql, [(*row, entity) for row, entity in changes.unindexed])
        if changes.indexed:
            many(_INDEX.sql, [(*row, entity) for row, entity in changes.indexed])
        if changes.log:
            many(_SAVE_LOG.sql, changes.log)
        for dead_letter_id in changes.replayed:
            self._cursor.execute(_SET_STATUS.sql, _SET_STATUS.row(dead_letter_id=dead_letter_id, new_status="replayed"))

    def keep_others_out(self) -> None:
        """They are out: it began as one that writes."""

    def drop_states(self, entities: Sequence[str]) -> None:
        self._cursor.execute(_DROP_STATES.sql, (_json(entities),))
        self._cursor.execute(_DROP_INDEXED.sql, (_json(entities),))

    def drop_logged(self, message_ids: Sequence[str]) -> None:
        self._cursor.execute(_DROP_LOGGED.sql, (_json(message_ids),))

    def _write_dead_letters(self, dead_letters: Sequence[tuple[DeadLetter, NewEvent]]) -> Iterator[NewEvent]:
        for letter, event in dead_letters:
            row = _SAVE_DEAD_LETTER.row(**dead_letter_row(letter))
            if self._cursor.execute(_SAVE_DEAD_LETTER.sql, row).rowcount:
                yield event


class SqliteStore(SqlReads):
    """`services.engine.store.Store` on a file. One process writes it."""

    def __init__(self, path: str) -> None:
        """Opens the file at `path`, and makes it and its tables if they are not there."""
        with _translated():
            self._writer = _Connection(path, "BEGIN IMMEDIATE", "FULL")
            # What need not be on disk at once.
            self._relaxed = _Connection(path, "BEGIN IMMEDIATE", "NORMAL")
            readers = _readers(path)
            METADATA.create_all(readers)
        super().__init__(readers, _translated)

    @contextmanager
    def transaction(self) -> Generator[_Transaction]:
        with self._writer.transaction() as cursor:
            yield _Transaction(cursor)

    def unpublished(self, keys: Iterable[str] | None, limit: int) -> list[StoredEvent]:
        if keys is None:
            found = self._relaxed.read(_UNPUBLISHED.sql, _UNPUBLISHED.row(most=limit))
        else:
            found = sorted(self._relaxed.read(_UNPUBLISHED_OF.sql, (_json(keys),)))[:limit]
        return list(map(StoredEvent._make, found))

    def mark_published(self, seqs: Sequence[int], now_us: int) -> None:
        with self._relaxed.transaction() as cursor:
            cursor.execute(_MARK.sql, (now_us, _json(seqs)))

    def next_timer_us(self) -> int | None:
        return self._relaxed.read(_NEXT_TIMER.sql)[0][0]

    def prune_inbox(self, before_us: int, limit: int) -> int:
        with self._relaxed.transaction() as cursor:
            return cursor.execute(_PRUNE.sql, _PRUNE.row(before_us=before_us, most=limit)).rowcount

    def discard(self, dead_letter_id: str) -> None:
        with self._writer.transaction() as cursor:
            cursor.execute(_SET_STATUS.sql, _SET_STATUS.row(dead_letter_id=dead_letter_id, new_status="discarded"))

    def listen(self, on_change: Callable[[Collection[str] | None], None]) -> None:
        """There are no others: one process writes the file."""

    def close(self) -> None:
        self._writer.close()
        self._relaxed.close()
        self._readers.dispose()
