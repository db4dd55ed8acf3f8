"""What only SQLite has: a file, and the ways in which a file fails."""

from pathlib import Path

import pytest

from services.engine.retry import TransientError
from services.engine.sqlite import SqliteStore


def test_a_file_that_cannot_be_opened_is_a_fault_that_may_pass(tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        SqliteStore(str(tmp_path / "no such folder" / "x.db"))


def test_every_commit_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "x.db"))
    with store.transaction() as transaction:
        connection = transaction._connection  # pyright: ignore[reportPrivateUsage]
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store.close()
