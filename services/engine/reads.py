"""What a store is asked beside the loop, in SQL that SQLite and PostgreSQL both understand: rare, so by SQLAlchemy."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import select

from services.engine.messages import Record
from services.engine.participant import IndexRow
from services.engine.schema import DEAD_LETTERS, ENTITIES, ENTITY_INDEX, EVENT_LOG, EVENTS, backlog
from services.engine.store import (
    BACKLOG_MAX,
    Backlog,
    DeadLetter,
    DeadLetterStatus,
    Indexed,
    Logged,
    NewLogged,
    StateRow,
    StoredEvent,
)

_BACKLOG = backlog(BACKLOG_MAX)
ROWS_AT_ONCE = 1000


class SqlSnapshot:
    """`services.engine.store.Snapshot` of a transaction that reads."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection.execution_options(yield_per=ROWS_AT_ONCE)

    def events(self) -> Iterator[StoredEvent]:
        ordered = select(EVENTS).order_by(EVENTS.c.entity, EVENTS.c.version)
        return (StoredEvent(*row) for row in self._connection.execute(ordered))

    def states(self) -> Iterator[tuple[str, StateRow]]:
        for entity, version, state in self._connection.execute(select(ENTITIES).order_by(ENTITIES.c.entity)):
            yield entity, StateRow(version, state)

    def places(self) -> Iterator[tuple[IndexRow, str]]:
        ordered = select(ENTITY_INDEX).order_by(*ENTITY_INDEX.primary_key.columns)
        for name, bucket, position, entity in self._connection.execute(ordered):
            yield IndexRow(name, bucket, position), entity

    def logged(self) -> Iterator[NewLogged]:
        columns = [column for column in EVENT_LOG.columns if column.name in NewLogged._fields]
        ordered = select(*columns).order_by(EVENT_LOG.c.message_id)
        return (NewLogged(*row) for row in self._connection.execute(ordered))


class SqlReads:
    """The reading half of a store.

    readers:    gives connections for single questions
    translated: a block in which the database's errors become ours
    snapshots:  gives connections on which all of a transaction sees one state of the database; None: `readers` does
    """

    def __init__(
        self,
        readers: sa.Engine,
        translated: Callable[[], AbstractContextManager[None]],
        snapshots: sa.Engine | None = None,
    ) -> None:
        self._readers = readers
        self._translated = translated
        self._snapshots = snapshots or readers

    def entity(self, entity: str) -> StateRow | None:
        rows = self._read(select(ENTITIES).where(ENTITIES.c.entity == entity))
        return StateRow(rows[0].version, rows[0].state) if rows else None

    def entities(self, prefix: str, after: str = "", limit: int | None = None) -> dict[str, StateRow]:
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        within = (ENTITIES.c.entity >= prefix) & (ENTITIES.c.entity > after) & (ENTITIES.c.entity < end)
        query = select(ENTITIES).where(within).order_by(ENTITIES.c.entity).limit(limit)
        return {row.entity: StateRow(row.version, row.state) for row in self._read(query)}

    def events(self, entity: str, after_seq: int, limit: int) -> list[StoredEvent]:
        query = select(EVENTS).where(EVENTS.c.seq > after_seq).order_by(EVENTS.c.seq).limit(limit)
        if entity:
            query = query.where(EVENTS.c.entity == entity)
        return [StoredEvent(*row) for row in self._read(query)]

    def page(
        self, index: str, bucket: str, after: tuple[str, str] | None, limit: int, *, descending: bool = False
    ) -> list[Indexed]:
        place = sa.tuple_(ENTITY_INDEX.c.position, ENTITY_INDEX.c.entity)
        query: sa.Select[Any] = (
            select(ENTITY_INDEX.c.position, *ENTITIES.columns)
            .join(ENTITIES, ENTITIES.c.entity == ENTITY_INDEX.c.entity)
            .where(ENTITY_INDEX.c.name == index, ENTITY_INDEX.c.bucket == bucket)
            .limit(limit)
        )
        if after is not None:
            query = query.where(place < after if descending else place > after)
        columns = (ENTITY_INDEX.c.position, ENTITY_INDEX.c.entity)
        query = query.order_by(*(column.desc() if descending else column.asc() for column in columns))
        return [Indexed(row.position, row.entity, StateRow(row.version, row.state)) for row in self._read(query)]

    def log(
        self, key: str, type_name: str, after_seq: int | None, limit: int, *, descending: bool = False
    ) -> list[Logged]:
        seq = EVENT_LOG.c.seq
        query = select(EVENT_LOG).order_by(seq.desc() if descending else seq).limit(limit)
        if key:
            query = query.where(EVENT_LOG.c.key == key)
        if type_name:
            query = query.where(EVENT_LOG.c.type == type_name)
        if after_seq is not None:
            query = query.where(seq < after_seq if descending else seq > after_seq)
        return [Logged(*row) for row in self._read(query)]

    @contextmanager
    def snapshot(self) -> Generator[SqlSnapshot]:
        with self._translated(), self._snapshots.begin() as connection:
            yield SqlSnapshot(connection)

    def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        rows = self._read(select(DEAD_LETTERS).where(DEAD_LETTERS.c.id == dead_letter_id))
        return _dead_letter(rows[0]) if rows else None

    def dead_letters(self, status: DeadLetterStatus | None, after_id: str, limit: int) -> list[DeadLetter]:
        query = select(DEAD_LETTERS).where(DEAD_LETTERS.c.id > after_id).order_by(DEAD_LETTERS.c.id).limit(limit)
        if status is not None:
            query = query.where(DEAD_LETTERS.c.status == status)
        return [_dead_letter(row) for row in self._read(query)]

    def backlog(self) -> Backlog:
        return Backlog(*self._read(_BACKLOG)[0])

    def ping(self) -> None:
        self._read(select(sa.literal(1)))

    def _read(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._translated(), self._readers.begin() as connection:
            return connection.execute(query).all()


def dead_letter_row(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter's values by column."""
    record = letter.record
    return {
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


def _dead_letter(row: Any) -> DeadLetter:
    headers = msgspec.msgpack.decode(row.headers, type=dict[str, bytes])
    record = Record(row.topic, row.partition, row.offset, row.key, headers, row.payload)
    return DeadLetter(row.id, row.status, row.cause, record, row.time_us)
