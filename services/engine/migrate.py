"""Migrations as a step of their own: `python -m services.engine.migrate [DATABASE_URL...]`, before the services start.

Without an address it takes that of the environment: what stands on a command line is for everybody to read.
A database is migrated under a lock, in one transaction: of two at once, one does it and the other finds it done.
"""

import os
import sqlite3
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import exc
from sqlalchemy.event import listen

from services.engine.database_url import engine_url
from services.engine.migrations import REVISION

LOCK_WITHIN_S = 60
_LOCK = 7_239_465_801
"""The number of the advisory lock on PostgreSQL; ours alone."""


def config() -> Config:
    """Where the revisions are."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return found


def migrate(database_url: str) -> None:
    """Brings the database to the newest revision; an SQLite file is made if it is not there.

    One that a later version has migrated is left as it is: nothing is ever migrated back.
    """
    given = config()
    with _locked(database_url) as connection:
        there = MigrationContext.configure(connection).get_current_revision()
        if there is None or there < REVISION:
            given.attributes["connection"] = connection
            command.upgrade(given, "head")


@contextmanager
def _locked(database_url: str) -> Generator[sa.Connection]:
    url = engine_url(database_url)
    on_sqlite = url.startswith("sqlite")
    engine = sa.create_engine(
        url,
        poolclass=sa.NullPool,
        connect_args={"timeout": LOCK_WITHIN_S} if on_sqlite else {"options": f"-c lock_timeout={LOCK_WITHIN_S}s"},
    )
    if on_sqlite:
        listen(engine, "connect", _begin_where_we_say)
        listen(engine, "begin", _begin_immediate)
    with engine.begin() as connection:
        if not on_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


def _begin_where_we_say(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def main(database_urls: Sequence[str]) -> int:
    """Migrates all of them. Gives the exit code; a failure is one line on stderr."""
    for url in database_urls:
        try:
            migrate(url)
        except (exc.SQLAlchemyError, ValueError) as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            print(f"cannot migrate {_shown(url)}: {cause}", file=sys.stderr)
            return 1
    return 0


def _shown(url: str) -> str:
    """Without its password."""
    try:
        return sa.make_url(url).render_as_string()
    except exc.ArgumentError:
        return "a database"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [os.environ.get("DATABASE_URL", "")]))
