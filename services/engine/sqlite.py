"""The store on SQLite: a file for each service, WAL, every transaction on disk before it is answered."""

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam, exc, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.event import listen

from services.engine.messages import Record
from services.engine.retry import TransientError
from services.engine.schema import DEAD_LETTERS, ENTITIES, EVENTS, INBOX, METADATA, TIMERS, UNPUBLISHED
from services.engine.store import (
    Changes,
    ConflictError,
    DeadLetter,
    DeadLetterStatus,
    NewEvent,
    StateRow,
    StoredEvent,
    Timer,
)

BUSY_TIMEOUT_S = 5
_EVENT_FIELDS = NewEvent._fields
_ENTITY_FIELDS = ("entity", *StateRow._fields)


def _among(name: str) -> Any:
    """A list bound as one JSON parameter, so that a statement is compiled once for every length."""
    return select(sa.func.json_each(bindparam(name)).table_valued("value").c.value)


def _json(values: Iterable[Any]) -> str:
    return json.dumps(list(values))


def _upsert(table: sa.Table) -> Any:
    statement = insert(table)
    values = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=values)


_SEEN = select(INBOX.c.message_id).where(INBOX.c.message_id.in_(_among("ids")))
_DUE = select(TIMERS).where(TIMERS.c.due_us <= bindparam("now_us")).order_by(TIMERS.c.due_us).limit(bindparam("limit"))
_LOAD = select(ENTITIES).where(ENTITIES.c.entity.in_(_among("entities")))
_SAVE_INBOX = insert(INBOX).on_conflict_do_nothing()  # a replayed dead letter may have its row already
_SAVE_EVENTS = insert(EVENTS)
_SAVE_STATES = _upsert(ENTITIES)
_DROP_STATES = ENTITIES.delete().where(ENTITIES.c.entity.in_(_among("entities")))
_STOP_TIMERS = TIMERS.delete().where(TIMERS.c.entity == bindparam("e"), TIMERS.c.name == bindparam("n"))
_SAVE_TIMERS = _upsert(TIMERS)
_SAVE_DEAD_LETTER = insert(DEAD_LETTERS).on_conflict_do_nothing()
_SET_STATUS = (
    DEAD_LETTERS.update()
    .where(DEAD_LETTERS.c.id == bindparam("dead_letter_id"), DEAD_LETTERS.c.status == "open")
    .values(status=bindparam("new_status"))
)
_UNPUBLISHED = select(EVENTS).where(UNPUBLISHED).order_by(EVENTS.c.seq).limit(bindparam("limit"))
_UNPUBLISHED_OF = _UNPUBLISHED.where(EVENTS.c.key.in_(_among("keys")))
_MARK = EVENTS.update().where(EVENTS.c.seq.in_(_among("seqs"))).values(published_at_us=bindparam("now_us"))
_PRUNE = INBOX.delete().where(
    INBOX.c.message_id.in_(
        select(INBOX.c.message_id)
        .where(INBOX.c.seen_at_us < bindparam("before_us"))
        .order_by(INBOX.c.seen_at_us)
        .limit(bindparam("limit"))
    )
)


@contextmanager
def _translated() -> Generator[None]:
    """SQLAlchemy's errors as ours."""
    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError(str(error.orig)) from error
    except (exc.OperationalError, exc.TimeoutError) as error:
        raise TransientError(f"the database: {error}") from error


def _engine(path: str, begin: str, synchronous: str) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S}, pool_timeout=30
    )

    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")

    def begin_transaction(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    listen(engine, "connect", configure)
    listen(engine, "begin", begin_transaction)
    return engine


class _Transaction:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def seen(self, message_ids: Sequence[str]) -> set[str]:
        return set(self._connection.scalars(_SEEN, {"ids": _json(message_ids)}))

    def due_timers(self, now_us: int, limit: int) -> list[Timer]:
        return [Timer(*row) for row in self._connection.execute(_DUE, {"now_us": now_us, "limit": limit})]

    def load(self, entities: Sequence[str]) -> dict[str, StateRow]:
        rows = self._connection.execute(_LOAD, {"entities": _json(entities)})
        return {entity: StateRow(version, state) for entity, version, state in rows}

    def write(self, changes: Changes) -> None:
        execute = self._connection.execute
        events = changes.events
        if changes.dead_letters:
            events = events + list(self._write_dead_letters(changes.dead_letters))
        if changes.inbox:
            execute(_SAVE_INBOX, [{"message_id": i, "seen_at_us": changes.time_us} for i in sorted(changes.inbox)])
        if events:
            execute(_SAVE_EVENTS, [dict(zip(_EVENT_FIELDS, event, strict=True)) for event in events])
        if changes.states:
            rows = sorted(changes.states.items())
            execute(_SAVE_STATES, [dict(zip(_ENTITY_FIELDS, (e, *row), strict=True)) for e, row in rows])
        if changes.stopped:
            execute(_STOP_TIMERS, [{"e": entity, "n": name} for entity, name in sorted(changes.stopped)])
        if changes.timers:
            execute(_SAVE_TIMERS, [timer._asdict() for _, timer in sorted(changes.timers.items())])
        if changes.replayed:
            execute(_SET_STATUS, [{"dead_letter_id": i, "new_status": "replayed"} for i in changes.replayed])

    def drop_states(self, entities: Sequence[str]) -> None:
        self._connection.execute(_DROP_STATES, {"entities": _json(entities)})

    def _write_dead_letters(self, dead_letters: Sequence[tuple[DeadLetter, NewEvent]]) -> Iterator[NewEvent]:
        for letter, event in dead_letters:
            record = letter.record
            row = {
                "id": letter.id,
                "status": letter.status,
                "cause": letter.cause,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "key": record.key,
                "headers": msgspec.msgpack.encode(record.headers),
                "payload": record.value,
                "time_us": letter.time_us,
            }
            if self._connection.execute(_SAVE_DEAD_LETTER, row).rowcount:
                yield event


class _Snapshot:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection.execution_options(yield_per=1000)

    def events(self) -> Iterator[StoredEvent]:
        ordered = select(EVENTS).order_by(EVENTS.c.entity, EVENTS.c.version)
        return (StoredEvent(*row) for row in self._connection.execute(ordered))

    def states(self) -> Iterator[tuple[str, StateRow]]:
        for entity, version, state in self._connection.execute(select(ENTITIES).order_by(ENTITIES.c.entity)):
            yield entity, StateRow(version, state)


class SqliteStore:
    """`services.engine.store.Store` on a file. One process writes it."""

    def __init__(self, path: str) -> None:
        """Opens the file at `path`, and makes it and its tables if they are not there."""
        self._writer = _engine(path, "BEGIN IMMEDIATE", "FULL")
        # Writes that need not be on disk at once, and reads.
        self._relaxed = _engine(path, "BEGIN", "NORMAL")
        with _translated():
            METADATA.create_all(self._writer)

    @contextmanager
    def transaction(self) -> Generator[_Transaction]:
        with _translated(), self._writer.begin() as connection:
            yield _Transaction(connection)

    def unpublished(self, keys: Iterable[str] | None, limit: int) -> list[StoredEvent]:
        if keys is None:
            return [StoredEvent(*row) for row in self._read(_UNPUBLISHED, limit=limit)]
        return [StoredEvent(*row) for row in self._read(_UNPUBLISHED_OF, keys=_json(keys), limit=limit)]

    def mark_published(self, seqs: Sequence[int], now_us: int) -> None:
        with _translated(), self._relaxed.begin() as connection:
            connection.execute(_MARK, {"seqs": _json(seqs), "now_us": now_us})

    def next_timer_us(self) -> int | None:
        return self._read(select(sa.func.min(TIMERS.c.due_us)))[0][0]

    def prune_inbox(self, before_us: int, limit: int) -> int:
        with _translated(), self._relaxed.begin() as connection:
            return connection.execute(_PRUNE, {"before_us": before_us, "limit": limit}).rowcount

    def entity(self, entity: str) -> StateRow | None:
        rows = self._read(select(ENTITIES).where(ENTITIES.c.entity == entity))
        return StateRow(rows[0].version, rows[0].state) if rows else None

    def entities(self, prefix: str) -> dict[str, StateRow]:
        after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        within = (ENTITIES.c.entity >= prefix) & (ENTITIES.c.entity < after)
        return {row.entity: StateRow(row.version, row.state) for row in self._read(select(ENTITIES).where(within))}

    def events(self, entity: str, after_seq: int, limit: int) -> list[StoredEvent]:
        query = select(EVENTS).where(EVENTS.c.seq > after_seq).order_by(EVENTS.c.seq).limit(limit)
        if entity:
            query = query.where(EVENTS.c.entity == entity)
        return [StoredEvent(*row) for row in self._read(query)]

    @contextmanager
    def snapshot(self) -> Generator[_Snapshot]:
        with _translated(), self._relaxed.begin() as connection:
            yield _Snapshot(connection)

    def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        rows = self._read(select(DEAD_LETTERS).where(DEAD_LETTERS.c.id == dead_letter_id))
        return _dead_letter(rows[0]) if rows else None

    def dead_letters(self, status: DeadLetterStatus | None, after_id: str, limit: int) -> list[DeadLetter]:
        query = select(DEAD_LETTERS).where(DEAD_LETTERS.c.id > after_id).order_by(DEAD_LETTERS.c.id).limit(limit)
        if status is not None:
            query = query.where(DEAD_LETTERS.c.status == status)
        return [_dead_letter(row) for row in self._read(query)]

    def discard(self, dead_letter_id: str) -> None:
        with _translated(), self._writer.begin() as connection:
            connection.execute(_SET_STATUS, {"dead_letter_id": dead_letter_id, "new_status": "discarded"})

    def ping(self) -> None:
        self._read(select(sa.literal(1)))

    def close(self) -> None:
        self._writer.dispose()
        self._relaxed.dispose()

    def _read(self, query: sa.Select[Any], **parameters: Any) -> Sequence[sa.Row[Any]]:
        with _translated(), self._relaxed.begin() as connection:
            return connection.execute(query, parameters).all()


def _dead_letter(row: Any) -> DeadLetter:
    headers = msgspec.msgpack.decode(row.headers, type=dict[str, bytes])
    record = Record(row.topic, row.partition, row.offset, row.key, headers, row.payload)
    return DeadLetter(row.id, row.status, row.cause, record, row.time_us)
