"""The step before the services start: each gets a database, and each database the newest tables.

`python -m sagaproof.databases`, with the wish in the environment (command lines are for everybody to read):
DATABASE_URLS is what each service will be given, by name, as JSON; DATABASE_ADMIN_URL, where there is one, is the
administrator of the PostgreSQL server on which these databases and their roles are made first; DATABASE_WAIT_S, how
long the server is waited for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from services.engine import migrate

CONNECT_WITHIN_S = 5
AGAIN_S = 0.5


def wait_for(url: str, wait_s: float) -> None:
    """Returns once the server lets us in. Raises psycopg.OperationalError."""
    away = retry_if_exception_type(psycopg.OperationalError)
    for attempt in Retrying(retry=away, wait=wait_fixed(AGAIN_S), stop=stop_after_delay(wait_s), reraise=True):
        with attempt, psycopg.connect(url, connect_timeout=CONNECT_WITHIN_S):
            pass


def make_databases(admin_url: str, urls: Mapping[str, str]) -> None:
    """The database and the role of each URL, made where they are not there. Raises psycopg.Error.

    The role is the database's owner; of all others only the administrator may connect to it.
    """
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=CONNECT_WITHIN_S) as connection:
        for url in urls.values():
            asked = urlsplit(url)
            _make_database(connection, asked.path.removeprefix("/"), asked.username or "", asked.password or "")


def _make_database(connection: psycopg.Connection[tuple[object, ...]], database: str, role: str, password: str) -> None:
    its_name, its_role = sql.Identifier(database), sql.Identifier(role)
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(its_role))
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(its_role, sql.Literal(password)))
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
        # An administrator who is no superuser may only give away to a role that it is a member of.
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(its_role))
        # Whatever the server's own encoding and locale are: text is UTF-8, and compares by code point.
        utf8 = sql.SQL("TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} {}").format(its_name, its_role, utf8))
    connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(its_name))


def main() -> int:
    """Gives the exit code; a failure is one line on stderr."""
    urls: dict[str, str] = json.loads(os.environ["DATABASE_URLS"])
    admin_url = os.environ.get("DATABASE_ADMIN_URL")
    first = admin_url or next(iter(urls.values()))
    try:
        if first.startswith("postgres"):
            wait_for(first, float(os.environ.get("DATABASE_WAIT_S", "0")))
        if admin_url:
            make_databases(admin_url, urls)
    except psycopg.Error as error:
        print(f"cannot make the databases: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return migrate.main(list(urls.values()))


if __name__ == "__main__":
    sys.exit(main())
