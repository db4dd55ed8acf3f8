"""How an order is brought to each row of the saga table, on any shop: races are decided by pausing one side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, get_args

from e2e.scenarios.orders import COMPLETED, FINE, TOO_DEAR, TOO_LARGE, TOO_MANY
from e2e.substrates.substrate import Ending, Order, Substrate
from services.engine.faults import Point
from services.saga import OF_INTEREST, ORCHESTRATED, SAGA, Mode, Row, full_name

POINTS: Sequence[Point] = get_args(Point)
OF_PUBLISHING: Sequence[Point] = ("amid-publish", "before-mark")


class Way(NamedTuple):
    """What is done, and how that order must end."""

    go: Callable[[Substrate], str]
    ending: Ending


def _place(order: Order) -> Callable[[Substrate], str]:
    return lambda shop: shop.place(order)


def _cancelled(shop: Substrate) -> str:
    """Shipping hears of the cancellation while the payment is still to come."""
    with shop.paused("payment"):
        order_id = shop.place(FINE)
        shop.reaches(order_id, "AWAITING_PAYMENT")
        shop.cancel(order_id)
        shop.reaches(order_id, "COMPENSATING")
    return order_id


def _cancelled_too_late(shop: Substrate) -> str:
    """It has shipped, which order has not heard of."""
    with shop.paused("order"):
        order_id = shop.place(FINE)
        shop.reaches(order_id, "COMPLETED")
        shop.cancel(order_id)
    return order_id


COMPLETES = Way(_place(FINE), COMPLETED)
OUT_OF_STOCK = Way(_place(TOO_MANY), Ending("CANCELLED", "OUT_OF_STOCK"))
TOO_POOR = Way(_place(TOO_DEAR), Ending("CANCELLED", "INSUFFICIENT_FUNDS"))
NO_PARCEL = Way(_place(TOO_LARGE), Ending("CANCELLED", "SHIPMENT_FAILED"))
CANCELLED = Way(_cancelled, Ending("CANCELLED", "CANCELLED_BY_CUSTOMER"))
REFUSED = Way(_cancelled_too_late, COMPLETED)
_BY_EVENT: Mapping[str, Way] = {
    "InventoryRejected": OUT_OF_STOCK,
    "OrderCancelled": OUT_OF_STOCK,
    "PaymentFailed": TOO_POOR,
    "InventoryReleased": TOO_POOR,
    "ShipmentFailed": NO_PARCEL,
    "PaymentRefunded": NO_PARCEL,
    "OrderCancellationRequested": CANCELLED,
    "CancellationRefused": REFUSED,
}
"""Event of a row -> a way on which it comes; on all others, the order completes."""
_ENDS_BY_ITSELF = ("InventoryRejected", "Shipped")
"""Events of which order always ends the order; of others it may only take note, and publishes nothing then."""


def way_to(event: str) -> Way:
    """To where this event (its short name) is handled."""
    return _BY_EVENT.get(event, COMPLETES)


class Step(NamedTuple):
    """A service handles a message (its type's full name) that stands for this event."""

    service: str
    event: str
    message_type: str


def steps(service: str, mode: Mode, point: Point) -> list[Step]:
    """The service's rows that are sure to come to the crash point: nothing is published by some."""
    if service == "orchestrator":
        found = [Step(service, cls.DESCRIPTOR.name, full_name(cls)) for cls in OF_INTEREST]
        return [step for step in found if point not in OF_PUBLISHING or step.event in _COMMANDING]
    rows = [row for row in SAGA if row.participant == service]
    return [
        Step(service, row.event.DESCRIPTOR.name, full_name(row.command if _is_commanded(row, mode) else row.event))
        for row in rows
        if point not in OF_PUBLISHING or _publishes(row)
    ]


_COMMANDING = frozenset(row.event.DESCRIPTOR.name for row in SAGA if row.participant in ORCHESTRATED)


def _is_commanded(row: Row, mode: Mode) -> bool:
    return mode == "orchestrated" and row.participant in ORCHESTRATED


def _publishes(row: Row) -> bool:
    if row.participant == "order":
        return row.event.DESCRIPTOR.name in _ENDS_BY_ITSELF
    return bool(row.answers)
