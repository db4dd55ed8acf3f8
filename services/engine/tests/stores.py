"""The stores that the suite of stores runs on, and what it writes into them."""

import itertools
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import psycopg

from sagaproof.postgres import RunningServer, server
from services.engine.memory import MemoryStore
from services.engine.messages import Record
from services.engine.migrate import migrate
from services.engine.postgres import PostgresStore
from services.engine.sqlite import SqliteStore
from services.engine.store import Changes, DeadLetter, NewEvent, Store

Open = Callable[[], Store]


def sqlite(folder: Path) -> Open:
    return lambda: SqliteStore(str(folder / "store.db"))


_for_all_tests = ExitStack()
_numbers = itertools.count()


@cache
def postgres_server() -> RunningServer:
    """One for all tests of this process, which it does not outlive; started when it is first needed."""
    folder = Path(_for_all_tests.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    running = _for_all_tests.enter_context(server(folder, fsync="off"))
    migrate(running.database("template"))
    return running


def end_postgres_server() -> None:
    _for_all_tests.close()
    postgres_server.cache_clear()


def postgres_url() -> str:
    """Of a database that is new and migrated."""
    running = postgres_server()
    url, name = running.database("template"), f"test{next(_numbers)}"
    with psycopg.connect(running.spec.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE {name} OWNER "template" TEMPLATE "template"'.encode())
    return f"{url.removesuffix('/template')}/{name}"


def postgres(_: Path) -> Open:
    url = postgres_url()
    return lambda: PostgresStore(url)


def memory(_: Path) -> Open:
    kept = MemoryStore()
    return lambda: kept


STORES: dict[str, Callable[[Path], Open]] = {"sqlite": sqlite, "postgres": postgres, "memory": memory}
"""Name -> what opens the same store again and again, given an empty folder."""


def event(entity: str, version: int, *, message_id: str = "", topic: str | None = "orders", key: str = "k") -> NewEvent:
    message_id = message_id or f"{entity}@{version}"
    return NewEvent(entity, version, "shop.Happened", message_id, "cause", topic, key, b"\x00\xff", "00-trace", 1000)


def letter(letter_id: str, time_us: int = 1) -> tuple[DeadLetter, NewEvent]:
    record = Record("orders", 3, 17, b"\xffkey", {"ce_id": b"\xfe", "empty": b""}, b"\x00value")
    told = event(f"dead-letter/{letter_id}", 1, message_id=f"told {letter_id}", topic="order.dlq", key=letter_id)
    return DeadLetter(letter_id, "open", "why", record, time_us), told


def write(store: Store, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.write(changes)


def changes(*events: NewEvent, time_us: int = 1000) -> Changes:
    return Changes(time_us, events=list(events))
