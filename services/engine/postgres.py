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

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from services.engine.database_url import engine_url
from services.engine.listening import CHANNEL, Listener, OnChange
from services.engine.pipeline import Call, Prepared
from services.engine.postgres_session import CONNECT_WITHIN_S, Connection, Session, translated
from services.engine.postgres_statements import Delete, Insert, Statement, among
from services.engine.reads import SqlReads, dead_letter_row
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
from services.engine.store import Changes, StateRow, StoredEvent, Timer

LOCK_WITHIN_S = 5
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


# Every batch begins by locking rows of this table, if only none. Who is shut out tries again after its lock_timeout.
_LOCK_OUT = Call(Prepared(b"lock_out", f"LOCK TABLE {ENTITIES.name} IN EXCLUSIVE MODE".encode(), ()))
_STAND_STILL = Call(
    Prepared(b"still", f"SET LOCAL idle_in_transaction_session_timeout = '{ALONE_IDLE_S}s'".encode(), ())
)
_MOST = bindparam("most", type_=sa.BigInteger())
_BEGIN = Call(Prepared(b"begin", b"BEGIN", ()))
_COMMIT = Call(Prepared(b"commit", b"COMMIT", ()))
_SEEN = Statement(select(INBOX.c.message_id).where(among(INBOX.c.message_id, "ids")))
# What another replica is firing or moving at this moment is left to it.
_DUE = Statement(
    select(TIMERS)
    .where(TIMERS.c.due_us <= bindparam("now_us"))
    .order_by(TIMERS.c.due_us)
    .limit(_MOST)
    .with_for_update(skip_locked=True)
)
_LOAD = Statement(
    select(ENTITIES).where(among(ENTITIES.c.entity, "entities")).order_by(ENTITIES.c.entity).with_for_update()
)
_INSERT_INBOX = Insert(INBOX)
_KEEP_INBOX = Insert(INBOX, ignore=True)
_SAVE_EVENTS = Insert(EVENTS, generated=("seq", "published_at_us"))
_INSERT_STATES = Insert(ENTITIES)
_SAVE_STATES = Insert(ENTITIES, upsert=True)
_STOP_TIMERS = Delete(TIMERS.c.entity, TIMERS.c.name)
_SAVE_TIMERS = Insert(TIMERS, upsert=True)
_UNINDEX = Delete(*ENTITY_INDEX.primary_key.columns)
_INDEX = Insert(ENTITY_INDEX, ignore=True)
_SAVE_LOG = Insert(EVENT_LOG, generated=("seq",), ignore=True)
_SAVE_DEAD_LETTER = Statement(
    insert(DEAD_LETTERS)
    .values({column.name: bindparam(column.name) for column in DEAD_LETTERS.columns})
    .on_conflict_do_nothing()
    .returning(DEAD_LETTERS.c.id)
)
# Ordered by an expression, or the planner could go through all events by seq and not through those that are unmarked.
_UNPUBLISHED_ALL = select(EVENTS).where(UNPUBLISHED).order_by(EVENTS.c.seq + 0).limit(_MOST)
_UNPUBLISHED = Statement(_UNPUBLISHED_ALL)
_UNPUBLISHED_OF = Statement(_UNPUBLISHED_ALL.where(among(EVENTS.c.key, "keys")))
# What another replica is marking at this moment will be marked.
_MARK = Statement(
    EVENTS.update()
    .where(EVENTS.c.seq.in_(select(EVENTS.c.seq).where(among(EVENTS.c.seq, "seqs")).with_for_update(skip_locked=True)))
    .values(published_at_us=bindparam("now_us"))
)
_NOTIFY = Statement(select(func.pg_notify(sa.literal_column(f"'{CHANNEL}'"), bindparam("payload", type_=sa.Text()))))
_NEXT_TIMER = Statement(select(func.min(TIMERS.c.due_us)))
_DROP_STATES = Statement(ENTITIES.delete().where(among(ENTITIES.c.entity, "entities")))
_DROP_INDEXED = Statement(ENTITY_INDEX.delete().where(among(ENTITY_INDEX.c.entity, "entities")))
_DROP_LOGGED = Statement(EVENT_LOG.delete().where(among(EVENT_LOG.c.message_id, "message_ids")))
_SET_STATUS = Statement(
    DEAD_LETTERS.update()
    .where(DEAD_LETTERS.c.id == bindparam("dead_letter_id"), DEAD_LETTERS.c.status == "open")
    .values(status=bindparam("new_status"))
)
_PRUNE = Statement(
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


class _Transaction:
    """Begins with its first question; what it writes goes with the next question, or with the commit."""

    def __init__(self, session: Session, listener: Listener | None) -> None:
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

    def _insert(self, statement: Insert, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._waiting.append(statement.call_with(rows))

    def _delete(self, statement: Delete, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._waiting.append(statement.call_with(rows))


class PostgresStore(SqlReads):
    """`services.engine.store.Store` on a database. Several processes may write it; it has been migrated before."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._listener: Listener | None = None
        self._writer = Connection(url, **_OPTIONS)
        self._relaxed = Connection(url, **_OPTIONS, synchronous_commit="off")
        readers = sa.create_engine(
            engine_url(url),
            isolation_level="AUTOCOMMIT",
            pool_size=READERS_KEPT,
            max_overflow=READERS_MAX - READERS_KEPT,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_WITHIN_S},
        )
        super().__init__(readers, translated, snapshots=readers.execution_options(isolation_level="REPEATABLE READ"))

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
