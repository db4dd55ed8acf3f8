"""Migrations: what they make is what the code expects, once however many ask, and nothing runs without them."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.engine.database import DatabaseError, open_store
from services.engine.database_url import engine_url
from services.engine.migrate import config, main, migrate
from services.engine.migrations import REVISION
from services.engine.schema import METADATA
from services.engine.tests.stores import postgres_server


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/x.db"


def postgres_url(folder: Path) -> str:
    return postgres_server().database(f"empty_{folder.name}"[:60])


EMPTY = pytest.mark.parametrize("empty", [sqlite_url, postgres_url], ids=["sqlite", "postgres"])
Empty = Callable[[Path], str]


def test_services_ask_for_the_newest_revision() -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == REVISION


@EMPTY
def test_a_migrated_database_has_the_tables_that_the_code_expects(empty: Empty, tmp_path: Path) -> None:
    url = empty(tmp_path)
    migrate(url)
    engine = sa.create_engine(engine_url(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        untyped: Any = MigrationContext
        context = untyped.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    ours = sa.create_engine("sqlite://") if "sqlite" in url else None
    if ours is not None:  # whatever the comparison does not see
        METADATA.create_all(ours)
        assert shape(engine) == shape(ours)


def shape(engine: sa.Engine) -> dict[str, str]:
    """What SQLite remembers of how each table and index was made, without spaces."""
    rows = sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
    with engine.connect() as connection:
        return {name: "".join(sorted("".join(sql.split()))) for name, sql in connection.execute(rows)}


@EMPTY
def test_of_several_at_once_one_migrates_and_the_others_find_it_done(empty: Empty, tmp_path: Path) -> None:
    url = empty(tmp_path)
    command = [sys.executable, "-m", "services.engine.migrate", url]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    open_store(url).close()


@EMPTY
def test_a_service_does_not_open_a_database_that_is_not_migrated(empty: Empty, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="was migrated never, and 0001 is needed: "):
        open_store(empty(tmp_path))


@EMPTY
def test_a_service_does_not_open_a_database_of_an_earlier_version(empty: Empty, tmp_path: Path) -> None:
    url = migrated_to("0000", empty(tmp_path))
    with pytest.raises(DatabaseError, match="was migrated to 0000, and 0001 is needed: "):
        open_store(url)


@EMPTY
def test_a_service_does_not_open_a_database_whose_migrations_were_all_taken_back(empty: Empty, tmp_path: Path) -> None:
    url = migrated_to(None, empty(tmp_path))
    with pytest.raises(DatabaseError, match="was migrated never, and 0001 is needed: "):
        open_store(url)


@EMPTY
def test_a_database_that_a_later_version_has_migrated_serves_this_one_as_it_is(empty: Empty, tmp_path: Path) -> None:
    """As after a rollback: the tables stay, and suit the version before."""
    url = migrated_to("9999", empty(tmp_path))
    migrate(url)
    with sa.create_engine(engine_url(url), poolclass=sa.NullPool).connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    open_store(url).close()


def migrated_to(revision: str | None, url: str) -> str:
    """The same address, of a database with the tables of this version that says it has those of another, or of none."""
    migrate(url)
    with sa.create_engine(engine_url(url), poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
        if revision:
            connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    return url


def test_a_file_from_before_there_were_migrations_keeps_what_it_has(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    METADATA.tables["inbox"].create(sa.create_engine(url))
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection, connection:
        connection.execute("INSERT INTO inbox VALUES ('a', 1)")
    migrate(url)
    store = open_store(url)
    with store.transaction() as transaction:
        assert transaction.seen(["a"]) == {"a"}
    store.close()


def test_a_database_that_cannot_be_reached_is_said_in_one_line_without_its_password() -> None:
    url = "postgresql://someone:secret@127.0.0.1:1/x"
    command = [sys.executable, "-m", "services.engine.migrate", url]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot migrate postgresql://someone:***@127.0.0.1:1/x: ")
    assert len(ended.stderr.splitlines()) == 1
    with pytest.raises(DatabaseError) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://x", "sqlite:x.db", "", "x"])
def test_a_url_of_another_kind_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DatabaseError, match="DATABASE_URL must be sqlite:///PATH or postgresql://"):
        open_store(url)
    assert main([url]) == 1
    said = capsys.readouterr().err
    assert said.startswith("cannot migrate ")
    assert said.count("\n") == 1
