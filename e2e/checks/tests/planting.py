"""Small changes that make a right history wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message as Proto
from msgspec.structs import replace
from shop.admin.v1.events_pb2 import DeadLettered

from e2e.checks.facts import decode
from e2e.checks.tests.shop import PRODUCT
from e2e.history import History, Observed, Poisoned, Published, StatusAtEnd, Stored
from services.saga import COMMANDS, PUBLIC

Row = Published | Stored
Plant = Callable[[History], None]


def is_it(row: Row, name: str, order_id: str = "", about: str = "") -> bool:
    """Whether it is an event of this name, and order; of a notification, about that."""
    kind, body = decode(row.type, row.payload)
    found = order_id in row.key or order_id.encode() in row.payload
    return kind == name and found and (not about or body.about == about)


def never(name: str, order_id: str, about: str = "") -> Plant:
    """It was neither stored nor said."""

    def plant(history: History) -> None:
        never_said(name, order_id, about)(history)
        never_stored(name, order_id, about)(history)

    return plant


def never_said(name: str, order_id: str, about: str = "") -> Plant:
    def plant(history: History) -> None:
        history.published = [row for row in history.published if not is_it(row, name, order_id, about)]

    return plant


def never_stored(name: str, order_id: str, about: str = "") -> Plant:
    def plant(history: History) -> None:
        history.stored = [row for row in history.stored if not is_it(row, name, order_id, about)]

    return plant


def altered(name: str, order_id: str, **fields: Any) -> Plant:
    """The row and the record have other fields; `payload` may be a function of the body, which it changes."""

    def alter(row: Any) -> Any:
        if not is_it(row, name, order_id):
            return row
        change = fields.get("payload")
        if not callable(change):
            return replace(row, **{field: value for field, value in fields.items() if hasattr(row, field)})
        body = decode(row.type, row.payload)[1]
        change(body)
        return replace(row, payload=body.SerializeToString())

    def plant(history: History) -> None:
        history.stored = [alter(row) for row in history.stored]
        history.published = [alter(row) for row in history.published]

    return plant


def again(name: str, order_id: str, **fields: Any) -> Plant:
    """It was stored once more, as the entity's next version and under an id of its own, and said if it is public."""

    def plant(history: History) -> None:
        row = next(row for row in history.stored if is_it(row, name, order_id))
        store(history, replace(row, message_id=f"{row.message_id}-again", **fields))

    return plant


def said(service: str, entity: str, body: Proto, cause_id: str = "") -> Plant:
    """A service says something more."""

    def plant(history: History) -> None:
        kind = body.DESCRIPTOR.full_name
        topic = PUBLIC.get(kind) or COMMANDS.get(kind)
        key = entity.partition("/")[2]
        message_id = f"more-{body.DESCRIPTOR.name}"
        row = Stored(service, 0, entity, 0, kind, message_id, cause_id, topic, key, 0, body.SerializeToString())
        store(history, replace(row, time_us=history.ended_us))

    return plant


def store(history: History, row: Stored) -> None:
    """As the next of its service and entity; on its topic, if it has one."""
    seq = max((r.seq for r in history.stored if r.service == row.service), default=0) + 1
    version = sum((r.service, r.entity) == (row.service, row.entity) for r in history.stored) + 1
    row = replace(row, seq=seq, version=version)
    history.stored.append(row)
    if row.topic is not None:
        offset = sum(record.topic == row.topic for record in history.published)
        place = row.topic, 0, offset
        about = row.key, row.type, row.message_id, row.cause_id, row.service, row.time_us, row.payload
        history.published.append(Published(*place, *about))


def poisoned(order_id: str, *services: str) -> Plant:
    """A record on `orders` that nobody can read, and that these services must refuse."""

    def plant(history: History) -> None:
        offset = sum(record.topic == "orders" for record in history.published)
        kind = "shop.order.v1.OrderCreated"
        record = Published("orders", 0, offset, order_id, kind, "poison", "", "nobody", history.ended_us, b"\xff")
        history.published.append(record)
        history.poisoned.append(Poisoned("orders", 0, offset, services))

    return plant


def dead_lettered(service: str, offset: int, order_id: str, times: int = 1) -> Plant:
    """The service has refused a record of `orders`."""

    def plant(history: History) -> None:
        body = DeadLettered(
            id=f"orders/0/{offset}",
            cause="Undecodable: not a shop.order.v1.OrderCreated",
            topic="orders",
            partition=0,
            offset=offset,
            key=order_id.encode(),
            headers={"ce_type": b"shop.order.v1.OrderCreated"},
            payload=b"\xff",
        )
        kind, payload = body.DESCRIPTOR.full_name, body.SerializeToString()
        for n in range(times):
            entity = f"dead-letter/orders/0/{offset}"
            row = Stored(
                service, 0, entity, 0, kind, f"{service}-{offset}-{n}", body.id, f"{service}.dlq", body.id, 0, payload
            )
            store(history, replace(row, time_us=history.ended_us))

    return plant


def both(*plants: Plant) -> Plant:
    def plant(history: History) -> None:
        for each in plants:
            each(history)

    return plant


def level(**fields: int) -> Plant:
    """Inventory says another level of the product at the end."""

    def plant(history: History) -> None:
        history.stock[PRODUCT] = replace(history.stock[PRODUCT], **fields)

    return plant


def account(user: str, **fields: int) -> Plant:
    """Payment says another balance of the account, or operators another deposit."""

    def plant(history: History) -> None:
        history.accounts[user] = replace(history.accounts[user], **fields)

    return plant


def status(order_id: str, *of: Any) -> Plant:
    """Status shows something else at the end."""

    def plant(history: History) -> None:
        history.statuses[order_id] = StatusAtEnd(*of)

    return plant


def sees(order_id: str, watch: str, *documents: tuple[int, str, str]) -> Plant:
    """A watch has shown this besides: seq, status, reason."""

    def plant(history: History) -> None:
        history.observed += [Observed(order_id, watch, *each, history.ended_us) for each in documents]

    return plant
