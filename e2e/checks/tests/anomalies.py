"""Ways to make a right history wrong, each with the check that must say so, and what it must say."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace
from shop.common.v1.common_pb2 import Order, Reason
from shop.order.v1.events_pb2 import OrderCancellationRequested, OrderCancelled
from shop.shipping.v1.events_pb2 import Shipped

from e2e.checks.tests.planting import (
    Plant,
    account,
    again,
    altered,
    both,
    dead_lettered,
    is_it,
    level,
    never,
    never_said,
    never_stored,
    poisoned,
    said,
    sees,
    status,
)
from e2e.checks.tests.shop import (
    BEGIN_US,
    COMPLETED,
    DEADLINE_US,
    LATE,
    NO_FUNDS,
    OUT_OF_STOCK,
    PRODUCT,
    REFUSED,
    STOPPED,
    TOO_LARGE,
    right_history,
)
from e2e.history import Accepted, History

NEW = "0190c0de-0000-7000-8000-00000000000f"
PLENTY = 1000


def _completed_is(name: str) -> str:
    """The message id that the first completed order's event of this name has."""
    return next(row.message_id for row in right_history().stored if is_it(row, name, COMPLETED))


def _accepted(history: History) -> None:
    history.accepted[NEW] = Accepted(NEW, "ada", {PRODUCT: 1}, history.ended_us)


def stands_still(history: History) -> None:
    """After the reservation nothing happened any more."""
    for name in ("PaymentCompleted", "AccountDebited", "Shipped", "StockCommitted", "StockDispatched"):
        never(name, COMPLETED)(history)
    for name in ("FactRecorded", "OrderCompleted", "DeliveryProgressed"):
        history.stored = [row for row in history.stored if not (is_it(row, name) and COMPLETED in row.entity)]
        history.published = [row for row in history.published if not is_it(row, name, COMPLETED)]


def _more_pieces(body: Any) -> None:
    body.quantity += PLENTY


def _more_money(body: Any) -> None:
    body.amount.amount_minor += PLENTY * PLENTY


def _other_reason(body: Any) -> None:
    body.reason = Reason.REASON_TIMED_OUT


def _other_address(body: Any) -> None:
    body.order.delivery_address = "elsewhere"


def _said_otherwise(history: History) -> None:
    stored = history.stored
    altered("Shipped", COMPLETED, payload=_other_address)(history)
    history.stored = stored


def _said_in_private(history: History) -> None:
    row = next(row for row in history.stored if is_it(row, "Shipped", COMPLETED))
    history.stored[history.stored.index(row)] = replace(row, topic=None)


def _swapped(history: History) -> None:
    """The second delivery step stands on the topic before the first."""
    at = [n for n, row in enumerate(history.published) if is_it(row, "DeliveryProgressed", COMPLETED)]
    first, second = (history.published[n] for n in at[:2])
    history.published[at[0]] = replace(second, offset=first.offset)
    history.published[at[1]] = replace(first, offset=second.offset)


def _in_another_partition(history: History) -> None:
    altered("DeliveryProgressed", COMPLETED, partition=1)(history)


def _too_soon(history: History) -> None:
    """Order cancelled it first, and heard of the last undo then."""
    stored = history.stored
    ending = next(n for n, row in enumerate(stored) if is_it(row, "OrderCancelled", TOO_LARGE))
    fact = max(n for n, row in enumerate(stored[:ending]) if row.entity == stored[ending].entity)
    first, last = stored[fact], stored[ending]
    stored[fact] = replace(last, seq=first.seq, version=first.version)
    stored[ending] = replace(first, seq=last.seq, version=last.version)


def _step_left_out(history: History) -> None:
    step = next(row for row in history.stored if is_it(row, "DeliveryProgressed", COMPLETED))
    history.stored.remove(step)
    history.published = [row for row in history.published if row.message_id != step.message_id]


def _one_id_for_two(history: History) -> None:
    altered("StockCommitted", COMPLETED, message_id=_completed_is("PaymentCompleted"))(history)


def _forgotten(history: History) -> None:
    del history.statuses[STOPPED]


class Anomaly(NamedTuple):
    """What was planted, and what the check says first: at which order, at which hop, of which service."""

    check: str
    what: str
    plant: Plant
    order_id: str
    hop: str
    service: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


def _at(check: str, what: str, plant: Plant, order_id: str, hop: str, service: str = "") -> Anomaly:
    return Anomaly(check, what, plant, order_id, hop, service or hop.partition(":")[0])


_CANCELLED = OrderCancelled(order=Order(order_id=COMPLETED), reason=Reason.REASON_TIMED_OUT)
_ASKED = OrderCancellationRequested(order=Order(order_id=STOPPED), reason=Reason.REASON_TIMED_OUT)
_SHIPPED = Shipped(order=Order(order_id=TOO_LARGE), tracking_number="SP-1")

ANOMALIES = (
    _at("ends-once", "no ending", never("OrderCompleted", COMPLETED), COMPLETED, "order: Shipped -> OrderCompleted"),
    _at(
        "ends-once",
        "two endings",
        said("order", f"order/{COMPLETED}", _CANCELLED, _completed_is("Shipped")),
        COMPLETED,
        "order: Shipped -> OrderCancelled",
    ),
    _at(
        "ends-once",
        "an ending that is too late",
        altered("OrderCompleted", COMPLETED, time_us=right_history().ended_us + DEADLINE_US + 20_000_000),
        COMPLETED,
        "order: Shipped -> OrderCompleted",
    ),
    _at("ends-once", "accepted and forgotten", _accepted, NEW, "order: PlaceOrder -> OrderCreated"),
    _at(
        "ends-once",
        "never accepted by order",
        never("OrderCreated", COMPLETED),
        COMPLETED,
        "order: PlaceOrder -> OrderCreated",
    ),
    _at(
        "ends-once",
        "another reason than its events say",
        altered("OrderCancelled", OUT_OF_STOCK, payload=_other_reason),
        OUT_OF_STOCK,
        "order: InventoryRejected -> OrderCancelled",
    ),
    _at(
        "ends-once",
        "a participant that does not answer",
        stands_still,
        COMPLETED,
        "payment: InventoryConfirmed -> PaymentCompleted or PaymentFailed",
    ),
    _at(
        "ends-once",
        "a user who was not told",
        never("NotificationSent", COMPLETED, about="Shipped"),
        COMPLETED,
        "notification: Shipped -> NotificationSent",
    ),
    _at(
        "ends-once",
        "a request that was not answered",
        never("CancellationRefused", REFUSED),
        REFUSED,
        "shipping: OrderCancellationRequested -> ShipmentFailed or CancellationRefused",
    ),
    _at(
        "ends-once",
        "an answer that nothing asked for",
        never("OrderCancellationRequested", REFUSED),
        REFUSED,
        "shipping: OrderCancellationRequested -> CancellationRefused",
    ),
    _at(
        "ends-once",
        "a deadline after the ending",
        said("order", f"order/{STOPPED}", _ASKED),
        STOPPED,
        "order: OrderCancelled -> OrderCancellationRequested",
    ),
    _at(
        "ends-once",
        "a deadline that is too early",
        altered("OrderCancellationRequested", LATE, time_us=BEGIN_US + DEADLINE_US // 2),
        LATE,
        "order: nothing known -> OrderCancellationRequested",
    ),
    _at(
        "ends-once",
        "a step of the delivery that was left out",
        _step_left_out,
        COMPLETED,
        "shipping: nothing known -> DeliveryProgressed",
    ),
    _at(
        "all-or-nothing",
        "cancelled before the last undo was known",
        _too_soon,
        TOO_LARGE,
        "payment: ShipmentFailed -> PaymentRefunded",
        "order",
    ),
    _at(
        "all-or-nothing",
        "completed, and the goods are still reserved",
        both(never("StockCommitted", COMPLETED), never("StockDispatched", COMPLETED)),
        COMPLETED,
        "inventory: Shipped -> StockCommitted",
    ),
    _at(
        "all-or-nothing",
        "cancelled, and the charge was kept",
        both(never("PaymentRefunded", TOO_LARGE), never("AccountCredited", TOO_LARGE)),
        TOO_LARGE,
        "payment: ShipmentFailed -> PaymentRefunded",
    ),
    _at(
        "all-or-nothing",
        "cancelled, and shipped",
        said("shipping", f"shipment/{TOO_LARGE}", _SHIPPED),
        TOO_LARGE,
        "shipping: PaymentCompleted -> Shipped",
    ),
    _at(
        "all-or-nothing",
        "cancelled, and the goods are still reserved",
        never("StockReturned", NO_FUNDS),
        NO_FUNDS,
        "inventory: PaymentFailed -> InventoryReleased",
    ),
    _at(
        "all-or-nothing",
        "completed, and another number of pieces left",
        altered("StockDispatched", COMPLETED, payload=_more_pieces),
        COMPLETED,
        "inventory: Shipped -> StockCommitted",
    ),
    _at("stock", "a piece that is not there", level(available=95), "", f"inventory: stock/{PRODUCT}"),
    _at("stock", "a piece in the wrong place", level(available=95, reserved=1), "", f"inventory: stock/{PRODUCT}"),
    _at("stock", "a restock that was answered and lost", level(restocked=5), "", f"inventory: stock/{PRODUCT}"),
    _at(
        "stock",
        "sold what there is not",
        altered("StockReserved", REFUSED, payload=_more_pieces),
        REFUSED,
        "inventory: OrderCreated -> InventoryConfirmed",
    ),
    _at("money", "a cent that is not there", account("ada", balance=91_002), "", "payment: account/ada"),
    _at("money", "a deposit that was answered and lost", account("bob", deposited=500), "", "payment: account/bob"),
    _at(
        "money",
        "an account that is overdrawn",
        altered("AccountDebited", COMPLETED, payload=_more_money),
        COMPLETED,
        "payment: InventoryConfirmed -> PaymentCompleted",
    ),
    _at(
        "money",
        "a refund that did not reach the account",
        never("AccountCredited", TOO_LARGE),
        "",
        "payment: account/dan",
    ),
    _at(
        "published",
        "stored, and never said",
        never_said("PaymentCompleted", COMPLETED),
        COMPLETED,
        "payment: InventoryConfirmed -> PaymentCompleted",
    ),
    _at(
        "published",
        "said, and not stored",
        never_stored("PaymentRefunded", TOO_LARGE),
        TOO_LARGE,
        "payment: ShipmentFailed -> PaymentRefunded",
    ),
    _at("published", "said otherwise", _said_otherwise, COMPLETED, "shipping: PaymentCompleted -> Shipped"),
    _at("published", "private, and said", _said_in_private, COMPLETED, "shipping: PaymentCompleted -> Shipped"),
    _at("published", "said in another order", _swapped, COMPLETED, "shipping: nothing known -> DeliveryProgressed"),
    _at(
        "published",
        "said in another partition",
        _in_another_partition,
        COMPLETED,
        "shipping: nothing known -> DeliveryProgressed",
    ),
    _at(
        "effects-once",
        "charged twice",
        again("PaymentCompleted", COMPLETED),
        COMPLETED,
        "payment: InventoryConfirmed -> PaymentCompleted",
    ),
    _at(
        "effects-once",
        "reserved twice, for two causes",
        again("StockReserved", NO_FUNDS, cause_id="another"),
        NO_FUNDS,
        "inventory: OrderCreated -> InventoryConfirmed",
    ),
    _at(
        "effects-once",
        "told twice",
        again("NotificationSent", OUT_OF_STOCK),
        OUT_OF_STOCK,
        "notification: OrderCancelled -> NotificationSent",
    ),
    _at(
        "effects-once",
        "a version that is missing",
        never("StockReserved", COMPLETED),
        COMPLETED,
        "inventory: Shipped -> StockCommitted",
    ),
    _at("effects-once", "one id for two events", _one_id_for_two, COMPLETED, "inventory: Shipped -> StockCommitted"),
    _at(
        "read-models",
        "a status that stands still",
        status(COMPLETED, "AWAITING_SHIPMENT", "", 3),
        COMPLETED,
        "status: DeliveryProgressed -> COMPLETED",
    ),
    _at(
        "read-models",
        "an event that was not counted",
        status(OUT_OF_STOCK, "CANCELLED", "OUT_OF_STOCK", 2),
        OUT_OF_STOCK,
        "status: OrderCancelled -> CANCELLED",
    ),
    _at(
        "read-models",
        "another reason",
        status(LATE, "CANCELLED", "CANCELLED_BY_CUSTOMER", 7),
        LATE,
        "status: OrderCancelled -> CANCELLED",
    ),
    _at("read-models", "an order that is not known", _forgotten, STOPPED, "status: OrderCreated"),
    _at(
        "watches",
        "a status that goes back",
        sees(COMPLETED, "ws2", (3, "AWAITING_SHIPMENT", ""), (4, "AWAITING_PAYMENT", "")),
        COMPLETED,
        "status: AWAITING_SHIPMENT -> AWAITING_PAYMENT",
    ),
    _at(
        "watches",
        "a seq that falls",
        sees(COMPLETED, "ws2", (3, "AWAITING_PAYMENT", ""), (2, "AWAITING_SHIPMENT", "")),
        COMPLETED,
        "status: AWAITING_PAYMENT -> AWAITING_SHIPMENT",
    ),
    _at(
        "watches",
        "a reason that changes after the ending",
        sees(LATE, "ws2", (7, "CANCELLED", "TIMED_OUT"), (8, "CANCELLED", "OUT_OF_STOCK")),
        LATE,
        "status: CANCELLED -> CANCELLED",
    ),
    _at(
        "watches",
        "another ending than the order's",
        sees(COMPLETED, "ws2", (5, "CANCELLED", "TIMED_OUT")),
        COMPLETED,
        "status: nothing -> CANCELLED",
    ),
    _at(
        "watches",
        "a reason before there is one",
        sees(LATE, "ws2", (5, "COMPENSATING", "TIMED_OUT")),
        LATE,
        "status: nothing -> COMPENSATING",
    ),
    _at(
        "dead-letters",
        "poison that one of two has swallowed",
        both(poisoned(COMPLETED, "inventory", "status"), dead_lettered("status", 22, COMPLETED)),
        COMPLETED,
        "inventory: OrderCreated -> InventoryConfirmed or InventoryRejected",
    ),
    _at(
        "dead-letters",
        "a good record that was refused",
        dead_lettered("inventory", 3, NO_FUNDS),
        NO_FUNDS,
        "inventory: OrderCreated -> InventoryConfirmed or InventoryRejected",
    ),
    _at(
        "dead-letters",
        "two dead letters of one record",
        both(poisoned(COMPLETED, "inventory"), dead_lettered("inventory", 22, COMPLETED, times=2)),
        COMPLETED,
        "inventory: OrderCreated -> InventoryConfirmed or InventoryRejected",
    ),
)
