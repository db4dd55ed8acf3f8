"""Right histories, written by hand: orders of each ending, as five services would have told them.

Nothing of the real services is in here, so that a fault of theirs cannot hide in what the checks are tested with.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import DeliveryStatus, Money, Order, OrderItem, Reason
from shop.inventory.v1 import events_pb2 as inventory
from shop.notification.v1.events_pb2 import NotificationSent
from shop.order.v1 import events_pb2 as order_events
from shop.payment.v1 import events_pb2 as payment
from shop.shipping.v1 import events_pb2 as shipping

from e2e.history import Accepted, Balance, History, Observed, Published, StatusAtEnd, StockLevel, Stored
from services.saga import PUBLIC

BEGIN_US = 1_800_000_000_000_000
STEP_US = 1000
DEADLINE_US = 30_000_000
PRICE_MINOR = 2999
OPENING_MINOR = 100_000
STOCK = 100
PRODUCT = "product-1"
_TOLD = {"InventoryConfirmed", "PaymentCompleted", "Shipped", "OrderCompleted", "OrderCancelled"}
_TRACKED = {
    "InventoryRejected",
    "InventoryReleased",
    "PaymentFailed",
    "PaymentRefunded",
    "Shipped",
    "ShipmentFailed",
    "CancellationRefused",
}

COMPLETED, OUT_OF_STOCK, NO_FUNDS, TOO_LARGE, STOPPED, LATE, REFUSED = (
    f"0190c0de-0000-7000-8000-00000000000{n}" for n in range(1, 8)
)
"""The orders of `right_history`: one of each ending, and one whose cancellation came too late."""


class Story:
    """A history in the making. One event follows the other, a millisecond apart."""

    def __init__(self) -> None:
        self.history = History("choreographed", DEADLINE_US, 0)
        self.now_us = BEGIN_US
        self._versions: dict[str, int] = {}
        self._offsets: dict[str, int] = {}

    def place(self, order_id: str, user_id: str, quantity: int) -> Told:
        return Told(self, order_id, user_id, quantity)

    def store(self, service: str, entity: str, body: Proto, cause_id: str) -> str:
        """Stores an event; publishes it too, if its type is public. Its message id."""
        self.now_us += STEP_US
        history = self.history
        version = self._versions[entity] = self._versions.get(entity, 0) + 1
        seq = sum(row.service == service for row in history.stored) + 1
        message_id = f"0190c0de-0000-8000-8000-000000{blake2b(f'{service}/{seq}'.encode(), digest_size=3).hexdigest()}"
        kind = body.DESCRIPTOR.full_name
        topic, key, payload = PUBLIC.get(kind), entity.partition("/")[2], body.SerializeToString()
        history.stored.append(
            Stored(service, seq, entity, version, kind, message_id, cause_id, topic, key, self.now_us, payload)
        )
        if topic is not None:
            offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
            history.published.append(
                Published(topic, 0, offset, key, kind, message_id, cause_id, service, self.now_us, payload)
            )
        return message_id


class Told:
    """One order's part of a story. A method is what one service makes of what it hears; it returns its event's id."""

    def __init__(self, story: Story, order_id: str, user_id: str, quantity: int) -> None:
        self.story = story
        self.order_id = order_id
        self.quantity = quantity
        self.order = Order(order_id=order_id, user_id=user_id, items=[OrderItem(product_id=PRODUCT, quantity=quantity)])
        self.priced = Order()
        self.priced.CopyFrom(self.order)
        self.priced.total.CopyFrom(Money(amount_minor=quantity * PRICE_MINOR, currency="USD"))
        self.seq = 0

    def _say(self, service: str, kind: str, body: Any, cause_id: str) -> str:
        message_id = self.story.store(service, f"{kind}/{self.order_id}", body, cause_id)
        name = body.DESCRIPTOR.name
        if name != "NotificationSent" and body.DESCRIPTOR.full_name in PUBLIC:
            self.seq += 1
        if name in _TRACKED:
            reason: Reason = getattr(body, "reason", Reason.REASON_UNSPECIFIED)
            recorded = order_events.FactRecorded(fact=name, reason=reason, detail=getattr(body, "detail", ""))
            self.story.store("order", f"order/{self.order_id}", recorded, message_id)
        if name in _TOLD:
            sent = NotificationSent(order=self.priced, about=name, text=f"{name}.")
            self.story.store("notification", f"told/{self.order_id}", sent, message_id)
        return message_id

    def _move(self, body: Proto, cause_id: str, service: str = "inventory", entity: str = f"stock/{PRODUCT}") -> None:
        self.story.store(service, entity, body, cause_id)

    def _pieces(self) -> Any:
        return {"product_id": PRODUCT, "quantity": self.quantity, "order_id": self.order_id}

    def _account(self) -> str:
        return f"account/{self.order.user_id}"

    def _observe(self, status: str, reason: str = "") -> None:
        seen = Observed(self.order_id, "ws", self.seq, status, reason, self.story.now_us)
        self.story.history.observed.append(seen)

    def created(self) -> str:
        said = self._say("order", "order", order_events.OrderCreated(order=self.order), self.order_id)
        user, items = self.order.user_id, {PRODUCT: self.quantity}
        self.story.history.accepted[self.order_id] = Accepted(self.order_id, user, items, self.story.now_us)
        self._observe("PENDING")
        return said

    def confirmed(self, cause_id: str) -> str:
        self._move(inventory.StockReserved(**self._pieces()), cause_id)
        said = self._say("inventory", "reservation", inventory.InventoryConfirmed(order=self.priced), cause_id)
        self._observe("AWAITING_PAYMENT")
        return said

    def rejected(self, cause_id: str) -> str:
        body = inventory.InventoryRejected(order=self.order, detail="too few")
        return self._say("inventory", "reservation", body, cause_id)

    def paid(self, cause_id: str) -> str:
        total = self.priced.total
        debited = payment.AccountDebited(user_id=self.order.user_id, amount=total, order_id=self.order_id)
        self._move(debited, cause_id, "payment", self._account())
        said = self._say("payment", "charge", payment.PaymentCompleted(order=self.priced, amount=total), cause_id)
        self._observe("AWAITING_SHIPMENT")
        return said

    def not_paid(self, cause_id: str) -> str:
        body = payment.PaymentFailed(order=self.priced, detail="too little")
        return self._say("payment", "charge", body, cause_id)

    def refunded(self, cause_id: str, *, charged: bool = True) -> str:
        amount = self.priced.total if charged else Money(amount_minor=0, currency="USD")
        said = self._say("payment", "charge", payment.PaymentRefunded(order=self.priced, amount=amount), cause_id)
        if charged:
            credited = payment.AccountCredited(user_id=self.order.user_id, amount=amount, order_id=self.order_id)
            self._move(credited, cause_id, "payment", self._account())
        return said

    def released(self, cause_id: str) -> str:
        self._move(inventory.StockReturned(**self._pieces()), cause_id)
        body = inventory.InventoryReleased(order=self.priced, released=self.order.items)
        return self._say("inventory", "reservation", body, cause_id)

    def shipped(self, cause_id: str) -> str:
        said = self._say("shipping", "shipment", shipping.Shipped(order=self.priced, tracking_number="SP-1"), cause_id)
        self._say("inventory", "reservation", inventory.StockCommitted(order=self.priced), said)
        self._move(inventory.StockDispatched(**self._pieces()), said)
        return said

    def not_shipped(self, cause_id: str, reason: Reason, detail: str = "") -> str:
        body = shipping.ShipmentFailed(order=self.priced, reason=reason, detail=detail)
        said = self._say("shipping", "shipment", body, cause_id)
        self._observe("COMPENSATING")
        return said

    def refused(self, cause_id: str) -> str:
        return self._say("shipping", "shipment", shipping.CancellationRefused(order=self.priced), cause_id)

    def delivered(self) -> None:
        for step in (
            DeliveryStatus.DELIVERY_STATUS_IN_TRANSIT,
            DeliveryStatus.DELIVERY_STATUS_OUT_FOR_DELIVERY,
            DeliveryStatus.DELIVERY_STATUS_DELIVERED,
        ):
            body = shipping.DeliveryProgressed(order=self.priced, status=step, tracking_number="SP-1")
            self._say("shipping", "shipment", body, f"timer/{int(step)}/{self.order_id}")

    def stop(self, reason: Reason) -> str:
        body = order_events.OrderCancellationRequested(order=self.order, reason=reason)
        return self._say("order", "order", body, f"stop-{self.order_id[-2:]}")

    def completed(self, cause_id: str) -> None:
        self._say("order", "order", order_events.OrderCompleted(order=self.priced), cause_id)
        self._observe("COMPLETED")

    def cancelled(self, cause_id: str, reason: Reason, detail: str = "") -> None:
        body = order_events.OrderCancelled(order=self.order, reason=reason, detail=detail)
        self._say("order", "order", body, cause_id)
        self._observe("CANCELLED", Reason.Name(reason).removeprefix("REASON_"))

    def at_rest(self) -> None:
        last = self.story.history.observed[-1]
        self.story.history.statuses[self.order_id] = StatusAtEnd(last.status, last.reason, self.seq)


def right_history() -> History:
    """Seven orders of four users, of a product of which nearly everything is gone at the end."""
    story = Story()
    opened = inventory.StockOpened(product_id=PRODUCT, quantity=STOCK)
    story.store("inventory", f"stock/{PRODUCT}", opened, "start/OpenStock")
    for user in ("ada", "bob", "cleo", "dan"):
        opened = payment.AccountOpened(user_id=user, balance=Money(amount_minor=OPENING_MINOR, currency="USD"))
        story.store("payment", f"account/{user}", opened, f"first-{user}")
    for tell in (_completed, _out_of_stock, _no_funds, _too_large, _stopped, _late, _refused):
        tell(story)
    story.history.stock[PRODUCT] = StockLevel(initial=STOCK, restocked=0, available=STOCK - 4, reserved=0)
    for user, kept in {"ada": 3 * PRICE_MINOR, "bob": 0, "cleo": 0, "dan": PRICE_MINOR}.items():
        story.history.accounts[user] = Balance(OPENING_MINOR, 0, OPENING_MINOR - kept)
    story.history.ended_us = story.now_us
    return story.history


def _completed(story: Story) -> None:
    told = story.place(COMPLETED, "ada", 3)
    shipped = told.shipped(told.paid(told.confirmed(told.created())))
    told.completed(shipped)
    told.delivered()
    told.at_rest()


def _out_of_stock(story: Story) -> None:
    told = story.place(OUT_OF_STOCK, "bob", 999)
    told.cancelled(told.rejected(told.created()), Reason.REASON_OUT_OF_STOCK, "too few")
    told.at_rest()


def _no_funds(story: Story) -> None:
    told = story.place(NO_FUNDS, "cleo", 40)
    failed = told.not_paid(told.confirmed(told.created()))
    told.cancelled(told.released(failed), Reason.REASON_INSUFFICIENT_FUNDS, "too little")
    told.at_rest()


def _too_large(story: Story) -> None:
    told = story.place(TOO_LARGE, "dan", 21)
    failed = told.not_shipped(
        told.paid(told.confirmed(told.created())), Reason.REASON_SHIPMENT_FAILED, "PARCEL_TOO_LARGE"
    )
    told.released(failed)
    told.cancelled(told.refunded(failed), Reason.REASON_SHIPMENT_FAILED, "PARCEL_TOO_LARGE")
    told.at_rest()


def _stopped(story: Story) -> None:
    """By the customer, before the payment: the refund comes first, and the charge finds its tombstone."""
    told = story.place(STOPPED, "bob", 2)
    told.confirmed(told.created())
    failed = told.not_shipped(told.stop(Reason.REASON_CANCELLED_BY_CUSTOMER), Reason.REASON_CANCELLED_BY_CUSTOMER)
    told.refunded(failed, charged=False)
    told.cancelled(told.released(failed), Reason.REASON_CANCELLED_BY_CUSTOMER)
    told.at_rest()


def _late(story: Story) -> None:
    """Payment was away: after its deadline the order is stopped."""
    told = story.place(LATE, "bob", 1)
    told.confirmed(told.created())
    story.now_us += DEADLINE_US
    failed = told.not_shipped(told.stop(Reason.REASON_TIMED_OUT), Reason.REASON_TIMED_OUT)
    told.released(failed)
    told.cancelled(told.refunded(failed, charged=False), Reason.REASON_TIMED_OUT)
    told.at_rest()


def _refused(story: Story) -> None:
    """The customer wants it stopped, and it has shipped."""
    told = story.place(REFUSED, "dan", 1)
    shipped = told.shipped(told.paid(told.confirmed(told.created())))
    asked = told.stop(Reason.REASON_CANCELLED_BY_CUSTOMER)
    told.refused(asked)
    told.completed(shipped)
    told.delivered()
    told.at_rest()
