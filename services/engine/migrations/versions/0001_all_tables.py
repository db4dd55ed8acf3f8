"""All tables. A database that was made before there were migrations keeps what it has, and gets what it lacks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.String().with_variant(sa.Text(collation="C"), "postgresql")
SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("status", TEXT, server_default=sa.text("'open'"), nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index(
        "dead_letters_open",
        "dead_letters",
        ["id"],
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
        if_not_exists=True,
    )
    op.create_table(
        "entities",
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("entity"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "entity_index",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("bucket", TEXT, nullable=False),
        sa.Column("position", TEXT, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", "bucket", "position", "entity"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "event_log",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("cause_id", TEXT, nullable=False),
        sa.Column("traceparent", TEXT, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("message_id"),
        if_not_exists=True,
    )
    op.create_index("event_log_of_key", "event_log", ["key", "seq"], if_not_exists=True)
    op.create_index("event_log_of_type", "event_log", ["type", "seq"], if_not_exists=True)
    op.create_table(
        "events",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("cause_id", TEXT, nullable=False),
        sa.Column("topic", TEXT, nullable=True),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("traceparent", TEXT, nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("published_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("entity", "version"),
        sa.UniqueConstraint("message_id"),
        if_not_exists=True,
    )
    op.create_index(
        "events_unpublished",
        "events",
        ["key", "seq"],
        sqlite_where=sa.text("published_at_us IS NULL AND topic IS NOT NULL"),
        postgresql_where=sa.text("published_at_us IS NULL AND topic IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_table(
        "inbox",
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("seen_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("inbox_seen_at", "inbox", ["seen_at_us"], if_not_exists=True)
    op.create_table(
        "timers",
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("traceparent", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("entity", "name"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("timers_due", "timers", ["due_us"], if_not_exists=True)
