"""The tables of a service's database, in SQLAlchemy Core: the same for SQLite and PostgreSQL. Times are in us."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
    text,
)

METADATA = MetaData()

# SQLite numbers rows by itself only in a column that is declared INTEGER.
_SEQ = BigInteger().with_variant(Integer(), "sqlite")
# In the order of code points, as SQLite has it, whatever the database's own collation is.
_TEXT = String().with_variant(Text(collation="C"), "postgresql")

EVENTS = Table(
    "events",
    METADATA,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("entity", _TEXT, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("type", _TEXT, nullable=False),
    Column("message_id", _TEXT, nullable=False, unique=True),
    Column("cause_id", _TEXT, nullable=False),
    Column("topic", _TEXT),
    Column("key", _TEXT, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("traceparent", _TEXT, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("published_at_us", BigInteger),
    UniqueConstraint("entity", "version"),
)
UNPUBLISHED = (EVENTS.c.published_at_us.is_(None)) & (EVENTS.c.topic.is_not(None))
Index("events_unpublished", EVENTS.c.key, EVENTS.c.seq, sqlite_where=UNPUBLISHED, postgresql_where=UNPUBLISHED)

ENTITIES = Table(
    "entities",
    METADATA,
    Column("entity", _TEXT, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", _TEXT, nullable=False),
    sqlite_with_rowid=False,
)

INBOX = Table(
    "inbox",
    METADATA,
    Column("message_id", _TEXT, primary_key=True),
    Column("seen_at_us", BigInteger, nullable=False),
    Index("inbox_seen_at", "seen_at_us"),
    sqlite_with_rowid=False,
)

TIMERS = Table(
    "timers",
    METADATA,
    Column("entity", _TEXT, primary_key=True),
    Column("name", _TEXT, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("traceparent", _TEXT, nullable=False),
    Index("timers_due", "due_us"),
    sqlite_with_rowid=False,
)

ENTITY_INDEX = Table(
    "entity_index",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("bucket", _TEXT, primary_key=True),
    Column("position", _TEXT, primary_key=True),
    Column("entity", _TEXT, primary_key=True),
    sqlite_with_rowid=False,
)

EVENT_LOG = Table(
    "event_log",
    METADATA,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("message_id", _TEXT, nullable=False, unique=True),
    Column("type", _TEXT, nullable=False),
    Column("key", _TEXT, nullable=False),
    Column("source", _TEXT, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("cause_id", _TEXT, nullable=False),
    Column("traceparent", _TEXT, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("event_log_of_key", "key", "seq"),
    Index("event_log_of_type", "type", "seq"),
)

DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("id", _TEXT, primary_key=True),
    Column("status", _TEXT, nullable=False, server_default=text("'open'")),
    Column("cause", _TEXT, nullable=False),
    Column("topic", _TEXT, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("time_us", BigInteger, nullable=False),
)
OPEN = DEAD_LETTERS.c.status == text("'open'")
Index("dead_letters_open", DEAD_LETTERS.c.id, sqlite_where=OPEN, postgresql_where=OPEN)


def backlog(most: int) -> Any:
    """One row: unmarked public events, the time of the oldest or NULL, open dead letters; each count at most `most`."""
    # Ordered as its index is, so that SQLite takes that one.
    events = select(EVENTS.c.time_us).where(UNPUBLISHED).order_by(EVENTS.c.key).limit(most).subquery()
    letters = select(DEAD_LETTERS.c.id).where(OPEN).order_by(DEAD_LETTERS.c.id).limit(most).subquery()
    open_letters = select(func.count()).select_from(letters).scalar_subquery()
    return select(func.count(), func.min(events.c.time_us), open_letters).select_from(events)
