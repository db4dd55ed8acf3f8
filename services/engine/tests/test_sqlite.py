"""What only SQLite has: a file, and the ways in which a file fails."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.engine import sqlite
from services.engine.retry import TransientError
from services.engine.sqlite import SqliteStore


def test_a_file_that_cannot_be_opened_is_a_fault_that_may_pass(tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        SqliteStore(str(tmp_path / "no such folder" / "x.db"))


def test_every_commit_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "x.db"))
    with store.transaction() as transaction:
        cursor = transaction._cursor  # pyright: ignore[reportPrivateUsage]
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_looking_for_unpublished_events_does_not_go_through_all_events(tmp_path: Path) -> None:
    SqliteStore(str(tmp_path / "x.db")).close()
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        for statement in (sqlite._UNPUBLISHED, sqlite._UNPUBLISHED_OF):  # pyright: ignore[reportPrivateUsage]
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.row(keys="[]", most=1))
            assert any("USING INDEX events_unpublished" in step for *_, step in plan)
