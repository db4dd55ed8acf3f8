"""Which store a DATABASE_URL names, and whether its database is as this version needs it."""

import sqlalchemy as sa
from sqlalchemy import exc

from services.engine.database_url import engine_url, sqlite_path
from services.engine.migrations import REVISION
from services.engine.sqlite import SqliteStore
from services.engine.store import Store


class DatabaseError(Exception):
    """The database cannot be used as it is; the message is one line with what to do."""


def open_store(database_url: str) -> Store:
    """The store that a URL names. Raises DatabaseError."""
    try:
        url = engine_url(database_url)
        _check_revision(url)
    except (ValueError, exc.ArgumentError) as error:
        raise DatabaseError(str(error)) from error
    path = sqlite_path(database_url)
    if path:
        return SqliteStore(path)
    from services.engine.postgres import PostgresStore  # noqa: PLC0415 a quarter of the CPU of a start

    return PostgresStore(database_url)


def _check_revision(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    shown = sa.make_url(url).render_as_string()
    try:
        with engine.connect() as connection:
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    except exc.OperationalError as error:
        if "no such table" in str(error):
            raise DatabaseError(_not_migrated(shown, "never")) from error
        raise DatabaseError(f"cannot open the database {shown}: {' '.join(str(error.orig).split())}") from error
    except exc.ProgrammingError as error:
        raise DatabaseError(_not_migrated(shown, "never")) from error
    if found is None:
        raise DatabaseError(_not_migrated(shown, "never"))
    if found < REVISION:  # a later one suits this version too: see docs/decisions/0023
        raise DatabaseError(_not_migrated(shown, f"to {found}"))


def _not_migrated(shown: str, how: str) -> str:
    return f"the database {shown} was migrated {how}, and {REVISION} is needed: python -m services.engine.migrate"
