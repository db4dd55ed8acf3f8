"""The store on PostgreSQL: a database for each service, which several replicas of the service write at once.

Isolation is READ COMMITTED. The rows of a batch's entities are locked in the order of their names before the inbox is
asked, so a message that another replica has just handled is seen there. What cannot be locked is what is not there yet:
a row that this transaction was told is absent must still be absent when it writes, else there is a ConflictError and
the batch is read again. A timer that another replica has fired meanwhile is a conflict too. All else is written over.

A batch needs two round trips: one reads, one writes and commits. Statements are written in SQLAlchemy Core, compiled
once, and prepared by the server; rows go as one array for each column. What need not be on disk at once (publication
marks, pruning) has a connection of its own, with `synchronous_commit = off`.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import chain
from struct import Struct, pack
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg import errors, pq
from psycopg.adapt import Dumper
from psycopg.types.numeric import Int8
from sqlalchemy import bindparam, exc, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.engine.database_url import engine_url
from services.engine.reads import SqlReads, dead_letter_row
from services.engine.retry import TransientError
from services.engine.schema import (
    DEAD_LETTERS,
    ENTITIES,
    ENTITY_INDEX,
    EVENT_LOG,
    EVENTS,
    INBOX,
    TIMERS,
    UNPUBLISHED,
)
from services.engine.store import Changes, ConflictError, StateRow, StoredEvent, Timer

CONNECT_WITHIN_S = 5
LOCK_WITHIN_S = 5
IDLE_IN_TRANSACTION_S = 10
"""A replica that stands still in a transaction holds up the others for so long; then the server ends its session."""
READERS_KEPT = 1
READERS_MAX = 5

_OPTIONS = {
    "default_transaction_isolation": "read committed",
    "lock_timeout": f"{LOCK_WITHIN_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
    # Every statement here has an index; with tables that were never analysed, the planner cannot know.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


# Arrays, in PostgreSQL's binary form: a header, then each element with its length in front.


class _Array:
    """A column's values, as they are sent."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Texts(_Array):
    oid = psycopg.adapters.types["text"].array_oid


class _Blobs(_Array):
    oid = psycopg.adapters.types["bytea"].array_oid


class _Numbers(_Array):
    oid = psycopg.adapters.types["int8"].array_oid


class _Dumper(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: _Array) -> bytes:
        return obj.data


class _TextsDumper(_Dumper):
    oid = _Texts.oid


class _BlobsDumper(_Dumper):
    oid = _Blobs.oid


class _NumbersDumper(_Dumper):
    oid = _Numbers.oid


_HEADER = Struct("!iiIii")
_LENGTH = Struct("!i").pack
_TEXT = psycopg.adapters.types["text"].oid
_BYTEA = psycopg.adapters.types["bytea"].oid
_INT8 = psycopg.adapters.types["int8"].oid
_NULL = _LENGTH(-1)


def _header(oid: int, count: int, nulls: bool = False) -> bytes:
    return _HEADER.pack(1, nulls, oid, count, 1) if count else pack("!iiI", 0, 0, oid)


def _texts(values: Sequence[str | None]) -> _Texts:
    parts = [_header(_TEXT, len(values), None in values)]
    for value in values:
        if value is None:
            parts.append(_NULL)
            continue
        encoded = value.encode()
        if 0 in encoded:  # which PostgreSQL's text cannot hold
            encoded = encoded.replace(b"\0", "\N{SYMBOL FOR NULL}".encode())
        parts += (_LENGTH(len(encoded)), encoded)
    return _Texts(b"".join(parts))


def _blobs(values: Sequence[bytes]) -> _Blobs:
    parts = [_header(_BYTEA, len(values))]
    for value in values:
        parts += (_LENGTH(len(value)), value)
    return _Blobs(b"".join(parts))


def _numbers(values: Sequence[int]) -> _Numbers:
    return _Numbers(
        _header(_INT8, len(values)) + pack("!" + "iq" * len(values), *chain.from_iterable((8, n) for n in values))
    )


# Statements


class _Statement:
    """A statement in PostgreSQL's words. `row` puts named values in the places of its parameters."""

    def __init__(self, statement: Any) -> None:
        compiled: Any = statement.compile(dialect=postgresql.dialect(paramstyle="numeric_dollar"))
        self.sql = str(compiled).encode()
        self._names: list[str] = compiled.positiontup or []
        self._constants: dict[str, Any] = compiled.params

    def row(self, **values: Any) -> tuple[Any, ...]:
        return tuple(values[name] if name in values else self._constants[name] for name in self._names)


def _array_of(column: sa.Column[Any]) -> Callable[[Sequence[Any]], _Array]:
    if isinstance(column.type, sa.LargeBinary):
        return _blobs
    return _texts if isinstance(column.type, sa.String) else _numbers


class _Rows:
    """Values for some columns of a table, a row each, sent as an array for each column."""

    def __init__(self, columns: Iterable[sa.Column[Any]]) -> None:
        self.columns = list(columns)
        self._arrays = [_array_of(column) for column in self.columns]
        self.names = [column.name for column in self.columns]

    def table(self) -> Any:
        # Without a collation in the cast: the arrays have none.
        kinds = [
            sa.LargeBinary() if a is _blobs else sa.Text() if a is _texts else sa.BigInteger() for a in self._arrays
        ]
        arrays = [sa.cast(bindparam(f"the_{name}"), ARRAY(kind)) for name, kind in zip(self.names, kinds, strict=True)]
        return func.unnest(*arrays).table_valued(*self.names, name="given").render_derived()

    def values(self, rows: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
        return tuple(array(column) for array, column in zip(self._arrays, zip(*rows, strict=True), strict=True))


class _Insert(_Statement):
    """Inserts rows, whose values come in the order of the table's columns, but for those that are generated."""

    def __init__(
        self, table: sa.Table, *, generated: Sequence[str] = (), upsert: bool = False, ignore: bool = False
    ) -> None:
        self.rows = _Rows(column for column in table.columns if column.name not in generated)
        given = self.rows.table()
        statement = insert(table).from_select(self.rows.names, select(*(given.c[name] for name in self.rows.names)))
        if upsert:
            values = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
            statement = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values)
        if ignore:
            statement = statement.on_conflict_do_nothing()
        super().__init__(statement)


class _Delete(_Statement):
    """Deletes rows by these of their columns."""

    def __init__(self, *columns: sa.Column[Any], returning: bool = False) -> None:
        self.rows = _Rows(columns)
        given, table = self.rows.table(), columns[0].table
        statement: Any = sa.delete(table).where(*(column == given.c[column.name] for column in columns))
        super().__init__(statement.returning(columns[0]) if returning else statement)


def _among(column: Any, name: str) -> Any:
    given: sa.BindParameter[Any] = bindparam(name)
    return column == sa.any_(given)


_BEGIN = b"BEGIN"
_COMMIT = b"COMMIT"
_SEEN = _Statement(select(INBOX.c.message_id).where(_among(INBOX.c.message_id, "ids")))
_DUE = _Statement(
    select(TIMERS).where(TIMERS.c.due_us <= bindparam("now_us")).order_by(TIMERS.c.due_us).limit(bindparam("most"))
)
_LOAD = _Statement(
    select(ENTITIES).where(_among(ENTITIES.c.entity, "entities")).order_by(ENTITIES.c.entity).with_for_update()
)
_INSERT_INBOX = _Insert(INBOX)
_KEEP_INBOX = _Insert(INBOX, ignore=True)
_SAVE_EVENTS = _Insert(EVENTS, generated=("seq", "published_at_us"))
_INSERT_STATES = _Insert(ENTITIES)
_SAVE_STATES = _Insert(ENTITIES, upsert=True)
_STOP_TIMERS = _Delete(TIMERS.c.entity, TIMERS.c.name)
_STOP_FIRED = _Delete(TIMERS.c.entity, TIMERS.c.name, TIMERS.c.version, TIMERS.c.due_us, returning=True)
_SAVE_TIMERS = _Insert(TIMERS, upsert=True)
_UNINDEX = _Delete(*ENTITY_INDEX.primary_key.columns)
_INDEX = _Insert(ENTITY_INDEX, ignore=True)
_SAVE_LOG = _Insert(EVENT_LOG, generated=("seq",), ignore=True)
_SAVE_DEAD_LETTER = _Statement(
    insert(DEAD_LETTERS)
    .values({column.name: bindparam(column.name) for column in DEAD_LETTERS.columns})
    .on_conflict_do_nothing()
    .returning(DEAD_LETTERS.c.id)
)
# Ordered by an expression, or the planner could go through all events by seq and not through those that are unmarked.
_UNPUBLISHED_ALL = select(EVENTS).where(UNPUBLISHED).order_by(EVENTS.c.seq + 0).limit(bindparam("most"))
_UNPUBLISHED = _Statement(_UNPUBLISHED_ALL)
_UNPUBLISHED_OF = _Statement(_UNPUBLISHED_ALL.where(_among(EVENTS.c.key, "keys")))
# What another replica is marking at this moment will be marked.
_MARK = _Statement(
    EVENTS.update()
    .where(EVENTS.c.seq.in_(select(EVENTS.c.seq).where(_among(EVENTS.c.seq, "seqs")).with_for_update(skip_locked=True)))
    .values(published_at_us=bindparam("now_us"))
)
_NEXT_TIMER = _Statement(select(func.min(TIMERS.c.due_us)))
_DROP_STATES = _Statement(ENTITIES.delete().where(_among(ENTITIES.c.entity, "entities")))
_DROP_INDEXED = _Statement(ENTITY_INDEX.delete().where(_among(ENTITY_INDEX.c.entity, "entities")))
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
            .with_for_update(skip_locked=True)
        )
    )
)


@contextmanager
def _translated() -> Generator[None]:
    """PostgreSQL's errors, and SQLAlchemy's, as ours."""
    try:
        yield
    except (errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure) as error:
        raise ConflictError(_one_line(error)) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, exc.OperationalError, exc.TimeoutError) as error:
        raise TransientError(f"the database: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class _Call(NamedTuple):
    sql: bytes
    row: Sequence[Any] = ()


class _Connection:
    """For one user at a time, from any thread; made anew after it was lost."""

    def __init__(self, url: str, **options: str) -> None:
        self._url = url
        self._options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in options.items())
        self._turn = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def use(self) -> Generator["_Session"]:
        """An exception rolls back what was not committed."""
        with self._turn, _translated():
            connection = self._open()
            try:
                yield _Session(connection)
            except BaseException:
                _roll_back(connection)
                raise

    def _open(self) -> "psycopg.Connection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,  # transactions begin where we say
                options=self._options,
                connect_timeout=CONNECT_WITHIN_S,
                cursor_factory=psycopg.RawCursor,
            )
            for cls, dumper in ((_Texts, _TextsDumper), (_Blobs, _BlobsDumper), (_Numbers, _NumbersDumper)):
                self._connection.adapters.register_dumper(cls, dumper)
        return self._connection

    def close(self) -> None:
        with self._turn:
            if self._connection is not None:
                self._connection.close()


def _roll_back(connection: "psycopg.Connection[Any]") -> None:
    if connection.info.transaction_status == pq.TransactionStatus.IDLE:
        return
    try:
        connection.execute(b"ROLLBACK")
    except psycopg.Error:
        connection.close()


class _Session:
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def run(self, calls: Sequence[_Call], asked: Sequence[_Call] = ()) -> list[list[Any]]:
        """Does all of these in one round trip; the rows of those that were asked."""
        connection = self._connection
        with connection.pipeline():
            for call in calls:
                connection.execute(call.sql, call.row, prepare=True)
            cursors = [connection.execute(call.sql, call.row, prepare=True, binary=True) for call in asked]
            return [cursor.fetchall() for cursor in cursors]

    def ask(self, sql: bytes, row: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(sql, row, prepare=True, binary=True).fetchall()

    def change(self, sql: bytes, row: Sequence[Any] = ()) -> int:
        """The number of rows that it changed."""
        return self._connection.execute(sql, row, prepare=True).rowcount


class _Transaction:
    """Begins with its first question; what it writes goes with the next question, or with the commit."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._waiting = [_Call(_BEGIN)]
        self._absent_ids: set[str] = set()
        self._absent: set[str] = set()
        self._due: dict[tuple[str, str], Timer] = {}

    def _ask(self, *asked: _Call) -> list[list[Any]]:
        waiting, self._waiting = self._waiting, []
        return self._session.run(waiting, asked)

    def commit(self) -> None:
        if self._waiting != [_Call(_BEGIN)]:
            self._session.run([*self._waiting, _Call(_COMMIT)])

    def read(self, message_ids: Sequence[str], entities: Sequence[str]) -> tuple[set[str], dict[str, StateRow]]:
        if not message_ids and not entities:
            return set(), {}
        load, seen_of = _Call(_LOAD.sql, (_texts(entities),)), _Call(_SEEN.sql, (_texts(message_ids),))
        rows, ids = self._ask(load, seen_of)
        loaded = {entity: StateRow(version, state) for entity, version, state in rows}
        seen = {message_id for (message_id,) in ids}
        self._absent.update(entity for entity in entities if entity not in loaded)
        self._absent_ids.update(message_id for message_id in message_ids if message_id not in seen)
        return seen, loaded

    def seen(self, message_ids: Sequence[str]) -> set[str]:
        return self.read(message_ids, ())[0]

    def load(self, entities: Sequence[str]) -> dict[str, StateRow]:
        return self.read((), entities)[1]

    def due_timers(self, now_us: int, limit: int) -> list[Timer]:
        (rows,) = self._ask(_Call(_DUE.sql, _DUE.row(now_us=Int8(now_us), most=Int8(limit))))
        due = [Timer(*row) for row in rows]
        self._due.update({(timer.entity, timer.name): timer for timer in due})
        return due

    def write(self, changes: Changes) -> None:
        # States come before events: two that make the same new entity meet here, in the order of the names.
        self._write_inbox(changes)
        self._write_states(changes)
        events = changes.events
        if changes.dead_letters:
            events = [*events, *self._write_dead_letters(changes)]
        self._insert(_SAVE_EVENTS, events)
        self._write_timers(changes)
        self._delete(_UNINDEX, [(*row, entity) for row, entity in changes.unindexed])
        self._insert(_INDEX, sorted((*row, entity) for row, entity in changes.indexed))
        self._insert(_SAVE_LOG, changes.log)
        for dead_letter_id in changes.replayed:
            row = _SET_STATUS.row(dead_letter_id=dead_letter_id, new_status="replayed")
            self._waiting.append(_Call(_SET_STATUS.sql, row))

    def drop_states(self, entities: Sequence[str]) -> None:
        for statement in (_DROP_STATES, _DROP_INDEXED):
            self._waiting.append(_Call(statement.sql, (_texts(entities),)))

    def _write_inbox(self, changes: Changes) -> None:
        new = changes.inbox & self._absent_ids
        for statement, ids in ((_INSERT_INBOX, new), (_KEEP_INBOX, changes.inbox - new)):
            self._insert(statement, [(message_id, changes.time_us) for message_id in sorted(ids)])

    def _write_states(self, changes: Changes) -> None:
        rows = [(entity, *row) for entity, row in sorted(changes.states.items())]
        self._insert(_INSERT_STATES, [row for row in rows if row[0] in self._absent])
        self._insert(_SAVE_STATES, [row for row in rows if row[0] not in self._absent])
        self._absent.difference_update(changes.states)

    def _write_timers(self, changes: Changes) -> None:
        fired = [self._due.pop(place) for place in sorted(changes.stopped) if place in self._due]
        if fired:
            rows = [(timer.entity, timer.name, timer.version, timer.due_us) for timer in fired]
            (found,) = self._ask(_Call(_STOP_FIRED.sql, _STOP_FIRED.rows.values(rows)))
            if len(found) < len(fired):
                raise ConflictError("another replica has fired a timer that was due")
        self._delete(_STOP_TIMERS, sorted(changes.stopped))
        self._insert(_SAVE_TIMERS, sorted(changes.timers.values()))

    def _write_dead_letters(self, changes: Changes) -> list[Any]:
        """The events of those that are new."""
        letters = [(_SAVE_DEAD_LETTER.row(**_clean(dead_letter_row(letter))), e) for letter, e in changes.dead_letters]
        found = self._ask(*(_Call(_SAVE_DEAD_LETTER.sql, row) for row, _ in letters))
        return [event for (_, event), new in zip(letters, found, strict=True) if new]

    def _insert(self, statement: _Insert, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._waiting.append(_Call(statement.sql, statement.rows.values(rows)))

    def _delete(self, statement: _Delete, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._waiting.append(_Call(statement.sql, statement.rows.values(rows)))


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers as one type, so that a statement is prepared once; no text with what PostgreSQL cannot hold."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\0", "\N{SYMBOL FOR NULL}")
        return Int8(value) if isinstance(value, int) else value

    return {name: clean(value) for name, value in row.items()}


class PostgresStore(SqlReads):
    """`services.engine.store.Store` on a database. Several processes may write it; it has been migrated before."""

    def __init__(self, url: str) -> None:
        self._writer = _Connection(url, **_OPTIONS)
        self._relaxed = _Connection(url, **_OPTIONS, synchronous_commit="off")
        readers = sa.create_engine(
            engine_url(url),
            isolation_level="AUTOCOMMIT",
            pool_size=READERS_KEPT,
            max_overflow=READERS_MAX - READERS_KEPT,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_WITHIN_S},
        )
        super().__init__(readers, _translated, snapshots=readers.execution_options(isolation_level="REPEATABLE READ"))

    @contextmanager
    def transaction(self) -> Generator[_Transaction]:
        with self._writer.use() as session:
            transaction = _Transaction(session)
            yield transaction
            transaction.commit()

    def unpublished(self, keys: Iterable[str] | None, limit: int) -> list[StoredEvent]:
        statement = _UNPUBLISHED if keys is None else _UNPUBLISHED_OF
        row = statement.row(most=Int8(limit), **({} if keys is None else {"keys": _texts(list(keys))}))
        with self._relaxed.use() as session:
            return [StoredEvent(*found) for found in session.ask(statement.sql, row)]

    def mark_published(self, seqs: Sequence[int], now_us: int) -> None:
        with self._relaxed.use() as session:
            session.change(_MARK.sql, _MARK.row(seqs=_numbers(seqs), now_us=Int8(now_us)))

    def next_timer_us(self) -> int | None:
        with self._relaxed.use() as session:
            return session.ask(_NEXT_TIMER.sql)[0][0]

    def prune_inbox(self, before_us: int, limit: int) -> int:
        with self._relaxed.use() as session:
            return session.change(_PRUNE.sql, _PRUNE.row(before_us=Int8(before_us), most=Int8(limit)))

    def discard(self, dead_letter_id: str) -> None:
        with self._writer.use() as session:
            session.change(_SET_STATUS.sql, _SET_STATUS.row(dead_letter_id=dead_letter_id, new_status="discarded"))

    def close(self) -> None:
        self._writer.close()
        self._relaxed.close()
        self._readers.dispose()
