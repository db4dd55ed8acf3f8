"""The stores that the suite of stores runs on, and what it writes into them."""

from collections.abc import Callable
from pathlib import Path

from services.engine.messages import Record
from services.engine.sqlite import SqliteStore
from services.engine.store import Changes, DeadLetter, NewEvent, Store

Open = Callable[[], Store]


def sqlite(folder: Path) -> Open:
    return lambda: SqliteStore(str(folder / "store.db"))


STORES: dict[str, Callable[[Path], Open]] = {"sqlite": sqlite}
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
