"""The store on PostgreSQL: a database for each service, which several replicas of the service write at once.

Isolation is READ COMMITTED. The rows of a batch's entities are locked in the order of their names before the inbox is
asked, so a message that another replica has just handled is seen there. What cannot be locked is what is not there yet:
a row that this transaction was told is absent must still be absent when it writes, else there is a ConflictError and
the batch is read again. Timers that are due are locked too, and those that another replica has locked are left to it.
All else is written over.

A batch needs two round trips: one reads, one writes and commits. Statements are written in SQLAlchemy Core, compiled
once, and prepared by the server; rows go as one array for each column. What need not be on disk at once (publication
marks, pruning) has a connection of its own, with `synchronous_commit = off`.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors, pq
from sqlalchemy import bindparam, exc, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.engine import pipeline
from services.engine.database_url import engine_url
from services.engine.listening import CHANNEL, Listener, OnChange
from services.engine.pipeline import Call, Pipeline, Prepared
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
LOST_AFTER_S = 10
"""When the server has not acknowledged for so long what was sent to it."""
IDLE_IN_TRANSACTION_S = 10
"""A replica that stands still in a transaction holds up the others for so long; then the server ends its session."""
ALONE_IDLE_S = 120
"""The same for a Rebuild, which reads topics while it keeps the others out."""
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


# Statements


_Put = Callable[[Any], bytes]


def _how(kind: Any) -> tuple[int, _Put]:
    """PostgreSQL's type for a parameter, and how a value is sent."""
    element: Any = getattr(kind, "item_type", None)
    if element is not None:
        if isinstance(element, sa.LargeBinary):
            return pipeline.BYTEAS, pipeline.byteas
        return (pipeline.TEXTS, pipeline.texts) if isinstance(element, sa.String) else (pipeline.INT8S, pipeline.int8s)
    if isinstance(kind, sa.LargeBinary):
        return pipeline.BYTEA, bytes
    if isinstance(kind, sa.String):
        return pipeline.TEXT, pipeline.text
    return pipeline.INT8, pipeline.int8


class _Statement:
    """A statement in PostgreSQL's words, to be called with its parameters by name."""

    _count = 0

    def __init__(self, statement: Any) -> None:
        compiled: Any = statement.compile(dialect=postgresql.dialect(paramstyle="numeric_dollar"))
        self._names: list[str] = compiled.positiontup or []
        how = [_how(compiled.binds[name].type) for name in self._names]
        self._puts = [put for _, put in how]
        self._constants: dict[str, Any] = compiled.params
        _Statement._count += 1
        self.prepared = Prepared(f"s{_Statement._count}".encode(), str(compiled).encode(), [oid for oid, _ in how])

    def call(self, **values: Any) -> Call:
        given = [values[name] if name in values else self._constants[name] for name in self._names]
        return Call(self.prepared, [put(value) for put, value in zip(self._puts, given, strict=True)])


class _Rows:
    """Values for some columns of a table, a row each, sent as an array for each column."""

    def __init__(self, columns: Iterable[sa.Column[Any]]) -> None:
        kinds = {column.name: _plain(column.type) for column in columns}
        self.names = list(kinds)
        arrays = [sa.cast(bindparam(f"the_{name}", type_=ARRAY(kind)), ARRAY(kind)) for name, kind in kinds.items()]
        self.table = func.unnest(*arrays).table_valued(*self.names, name="given").render_derived()


def _plain(kind: Any) -> Any:
    """Without a collation, which an array's elements cannot have."""
    if isinstance(kind, sa.LargeBinary):
        return sa.LargeBinary()
    return sa.Text() if isinstance(kind, sa.String) else sa.BigInteger()


class _ByRows(_Statement):
    """A statement about rows, whose parameters are the columns of those."""

    def call_with(self, rows: Iterable[Sequence[Any]]) -> Call:
        columns = zip(*rows, strict=True)
        return Call(self.prepared, [put(column) for put, column in zip(self._puts, columns, strict=True)])


class _Insert(_ByRows):
    """Inserts rows, whose values come in the order of the table's columns, but for those that are generated."""

    def __init__(
        self, table: sa.Table, *, generated: Sequence[str] = (), upsert: bool = False, ignore: bool = False
    ) -> None:
        rows = _Rows(column for column in table.columns if column.name not in generated)
        statement = insert(table).from_select(rows.names, select(*(rows.table.c[name] for name in rows.names)))
        if upsert:
            values = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
            statement = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values)
        if ignore:
            statement = statement.on_conflict_do_nothing()
        super().__init__(statement)


class _Delete(_ByRows):
    """Deletes rows by these of their columns."""

    def __init__(self, *columns: sa.Column[Any]) -> None:
        rows = _Rows(columns)
        super().__init__(
            sa.delete(columns[0].table).where(*(column == rows.table.c[column.name] for column in columns))
        )


def _among(column: Any, name: str) -> Any:
    given: Any = bindparam(name, type_=ARRAY(_plain(column.type)))
    return column == sa.any_(given)


# Every batch begins by locking rows of this table, if only none. Who is shut out tries again after its lock_timeout.
_LOCK_OUT = Call(Prepared(b"lock_out", f"LOCK TABLE {ENTITIES.name} IN EXCLUSIVE MODE".encode(), ()))
_STAND_STILL = Call(
    Prepared(b"still", f"SET LOCAL idle_in_transaction_session_timeout = '{ALONE_IDLE_S}s'".encode(), ())
)
_MOST = bindparam("most", type_=sa.BigInteger())
_BEGIN = Call(Prepared(b"begin", b"BEGIN", ()))
_COMMIT = Call(Prepared(b"commit", b"COMMIT", ()))
_ROLLBACK = Call(Prepared(b"rollback", b"ROLLBACK", ()))
_SEEN = _Statement(select(INBOX.c.message_id).where(_among(INBOX.c.message_id, "ids")))
# What another replica is firing or moving at this moment is left to it.
_DUE = _Statement(
    select(TIMERS)
    .where(TIMERS.c.due_us <= bindparam("now_us"))
    .order_by(TIMERS.c.due_us)
    .limit(_MOST)
    .with_for_update(skip_locked=True)
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
_UNPUBLISHED_ALL = select(EVENTS).where(UNPUBLISHED).order_by(EVENTS.c.seq + 0).limit(_MOST)
_UNPUBLISHED = _Statement(_UNPUBLISHED_ALL)
_UNPUBLISHED_OF = _Statement(_UNPUBLISHED_ALL.where(_among(EVENTS.c.key, "keys")))
# What another replica is marking at this moment will be marked.
_MARK = _Statement(
    EVENTS.update()
    .where(EVENTS.c.seq.in_(select(EVENTS.c.seq).where(_among(EVENTS.c.seq, "seqs")).with_for_update(skip_locked=True)))
    .values(published_at_us=bindparam("now_us"))
)
_NOTIFY = _Statement(select(func.pg_notify(sa.literal_column(f"'{CHANNEL}'"), bindparam("payload", type_=sa.Text()))))
_NEXT_TIMER = _Statement(select(func.min(TIMERS.c.due_us)))
_DROP_STATES = _Statement(ENTITIES.delete().where(_among(ENTITIES.c.entity, "entities")))
_DROP_INDEXED = _Statement(ENTITY_INDEX.delete().where(_among(ENTITY_INDEX.c.entity, "entities")))
_DROP_LOGGED = _Statement(EVENT_LOG.delete().where(_among(EVENT_LOG.c.message_id, "message_ids")))
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
            .limit(_MOST)
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


class _Connection:
    """For one user at a time, from any thread; made anew after it was lost."""

    def __init__(self, url: str, **options: str) -> None:
        self._url = url
        self._options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in options.items())
        self._turn = threading.Lock()
        self._session: _Session | None = None

    @contextmanager
    def use(self) -> Generator["_Session"]:
        """An exception rolls back what was not committed."""
        with self._turn, _translated():
            session = self._session if self._session is not None and self._session.is_open else self._open()
            try:
                yield session
            except BaseException:
                session.roll_back()
                raise

    def _open(self) -> "_Session":
        connection = psycopg.connect(
            self._url,
            autocommit=True,  # transactions begin where we say
            options=self._options,
            connect_timeout=CONNECT_WITHIN_S,
            tcp_user_timeout=LOST_AFTER_S * 1000,
        )
        self._session = _Session(connection)
        return self._session

    def close(self) -> None:
        with self._turn:
            if self._session is not None:
                self._session.close()


class _Session:
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._pipeline = Pipeline(connection)

    @property
    def is_open(self) -> bool:
        return not self._connection.closed

    def run(self, *calls: Call) -> list[int]:
        """Does all of these in one round trip; the numbers of rows that they changed."""
        return [result.command_tuples or 0 for result in self._run(calls)]

    def ask(self, *calls: Call, after: Sequence[Call] = ()) -> list[list[Any]]:
        """The rows of each, in the same round trip with what comes before them."""
        return [self._pipeline.rows(result) for result in self._run([*after, *calls])[len(after) :]]

    def _run(self, calls: Sequence[Call]) -> list[pq.abc.PGresult]:
        try:
            return self._pipeline.run(calls)
        except psycopg.OperationalError:
            if self._connection.info.transaction_status == pq.TransactionStatus.UNKNOWN:
                self.close()
            raise

    def roll_back(self) -> None:
        if not self.is_open or self._connection.info.transaction_status == pq.TransactionStatus.IDLE:
            return
        if self._connection.info.pipeline_status != pq.PipelineStatus.OFF:
            self.close()  # interrupted amid an exchange
            return
        try:
            self.run(_ROLLBACK)
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        self._connection.close()


class _Transaction:
    """Begins with its first question; what it writes goes with the next question, or with the commit."""

    def __init__(self, session: _Session, listener: Listener | None) -> None:
        self._session = session
        self._listener = listener
        self._waiting = [_BEGIN]
        self._absent_ids: set[str] = set()
        self._absent: set[str] = set()

    def _ask(self, *asked: Call) -> list[list[Any]]:
        waiting, self._waiting = self._waiting, []
        return self._session.ask(*asked, after=waiting)

    def commit(self) -> None:
        if self._waiting != [_BEGIN]:
            self._session.run(*self._waiting, _COMMIT)

    def read(self, message_ids: Sequence[str], entities: Sequence[str]) -> tuple[set[str], dict[str, StateRow]]:
        if not message_ids and not entities:
            return set(), {}
        rows, ids = self._ask(_LOAD.call(entities=entities), _SEEN.call(ids=message_ids))
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
        (rows,) = self._ask(_DUE.call(now_us=now_us, most=limit))
        return [Timer(*row) for row in rows]

    def write(self, changes: Changes) -> None:
        if changes.published:
            self._waiting.append(_MARK.call(seqs=changes.published, now_us=changes.time_us))
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
            self._waiting.append(_SET_STATUS.call(dead_letter_id=dead_letter_id, new_status="replayed"))
        if self._listener is not None and (changes.states or changes.log):
            for payload in self._listener.payloads(changes.states):
                self._waiting.append(_NOTIFY.call(payload=payload))

    def keep_others_out(self) -> None:
        self._ask(_STAND_STILL, _LOCK_OUT)

    def drop_states(self, entities: Sequence[str]) -> None:
        for statement in (_DROP_STATES, _DROP_INDEXED):
            self._waiting.append(statement.call(entities=entities))

    def drop_logged(self, message_ids: Sequence[str]) -> None:
        self._waiting.append(_DROP_LOGGED.call(message_ids=message_ids))

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
        self._delete(_STOP_TIMERS, sorted(changes.stopped))
        self._insert(_SAVE_TIMERS, sorted(changes.timers.values()))

    def _write_dead_letters(self, changes: Changes) -> list[Any]:
        """The events of those that are new."""
        found = self._ask(*(_SAVE_DEAD_LETTER.call(**dead_letter_row(letter)) for letter, _ in changes.dead_letters))
        return [event for (_, event), new in zip(changes.dead_letters, found, strict=True) if new]

    def _insert(self, statement: _Insert, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._waiting.append(statement.call_with(rows))

    def _delete(self, statement: _Delete, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._waiting.append(statement.call_with(rows))


class PostgresStore(SqlReads):
    """`services.engine.store.Store` on a database. Several processes may write it; it has been migrated before."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._listener: Listener | None = None
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
            transaction = _Transaction(session, self._listener)
            yield transaction
            transaction.commit()

    def unpublished(self, keys: Iterable[str] | None, limit: int) -> list[StoredEvent]:
        call = _UNPUBLISHED.call(most=limit) if keys is None else _UNPUBLISHED_OF.call(keys=list(keys), most=limit)
        with self._relaxed.use() as session:
            (rows,) = session.ask(call)
        return [StoredEvent(*row) for row in rows]

    def mark_published(self, seqs: Sequence[int], now_us: int) -> None:
        with self._relaxed.use() as session:
            session.run(_MARK.call(seqs=seqs, now_us=now_us))

    def next_timer_us(self) -> int | None:
        with self._relaxed.use() as session:
            (rows,) = session.ask(_NEXT_TIMER.call())
        return rows[0][0]

    def prune_inbox(self, before_us: int, limit: int) -> int:
        with self._relaxed.use() as session:
            return session.run(_PRUNE.call(before_us=before_us, most=limit))[0]

    def discard(self, dead_letter_id: str) -> None:
        with self._writer.use() as session:
            session.run(_SET_STATUS.call(dead_letter_id=dead_letter_id, new_status="discarded"))

    def listen(self, on_change: OnChange) -> None:
        assert self._listener is None
        self._listener = Listener(self._url, on_change)

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._writer.close()
        self._relaxed.close()
        self._readers.dispose()
