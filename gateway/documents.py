"""Messages of the services as the JSON documents of the gateway."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.descriptor import EnumDescriptor
from shop.common.v1 import common_pb2
from shop.inventory.v1 import service_pb2 as inventory_pb2
from shop.marketing.v1 import service_pb2 as marketing_pb2
from shop.status.v1 import service_pb2 as status_pb2

from gateway.models import (
    DailySales,
    Delivery,
    Item,
    LifetimeValue,
    Money,
    Overview,
    Payment,
    Popularity,
    Product,
    StatusDocument,
    TimelineEntry,
)


class Snapshot(NamedTuple):
    """A status document as it goes out, and what a watcher must know of it."""

    seq: int
    json: str
    # Nothing that a watcher waits for comes after it.
    final: bool


def snapshot(document: status_pb2.StatusDocument) -> Snapshot:
    final = (
        document.status == common_pb2.ORDER_STATUS_CANCELLED
        or document.delivery.status == common_pb2.DELIVERY_STATUS_DELIVERED
    )
    return Snapshot(document.seq, status_document(document).model_dump_json(), final)


def pending_snapshot(order: common_pb2.Order) -> Snapshot:
    """What is said of an accepted order that status has not seen yet: never more than PENDING, whatever order knows,
    so that nothing that status says later is a step back."""
    document = status_pb2.StatusDocument(
        order_id=order.order_id,
        user_id=order.user_id,
        status=common_pb2.ORDER_STATUS_PENDING,
        items=order.items,
        delivery=status_pb2.Delivery(address=order.delivery_address),
    )
    return snapshot(document)


def status_document(document: status_pb2.StatusDocument) -> StatusDocument:
    payment, delivery = document.payment, document.delivery
    return StatusDocument(
        order_id=document.order_id,
        user_id=document.user_id,
        status=order_status(document.status),
        reason=name_of(common_pb2.Reason.DESCRIPTOR, document.reason) if document.reason else None,
        reason_detail=document.reason_detail or None,
        items=[
            Item(
                product_id=item.product_id,
                quantity=item.quantity,
                unit_price=money(item.unit_price) if item.HasField("unit_price") else None,
            )
            for item in document.items
        ],
        total=money(document.total) if document.HasField("total") else None,
        payment=Payment(
            status=name_of(status_pb2.PaymentStatus.DESCRIPTOR, payment.status or status_pb2.PAYMENT_STATUS_PENDING),
            amount=money(payment.amount) if payment.HasField("amount") else None,
            refunded=money(payment.refunded) if payment.HasField("refunded") else None,
        ),
        delivery=Delivery(
            status=name_of(common_pb2.DeliveryStatus.DESCRIPTOR, delivery.status or common_pb2.DELIVERY_STATUS_PENDING),
            tracking_number=delivery.tracking_number or None,
            address=delivery.address or None,
        ),
        timeline=[
            TimelineEntry(
                type=entry.type, time=entry.time.ToJsonString(), service=entry.service, detail=entry.detail or None
            )
            for entry in document.timeline
        ],
        seq=document.seq,
    )


def order_status(status: int) -> str:
    return name_of(common_pb2.OrderStatus.DESCRIPTOR, status or common_pb2.ORDER_STATUS_PENDING)


def product(message: inventory_pb2.Product) -> Product:
    return Product(
        product_id=message.product_id,
        name=message.name,
        price=money(message.price),
        available=message.available,
        reserved=message.reserved,
    )


def overview(message: marketing_pb2.GetOverviewResponse) -> Overview:
    return Overview(
        completed=message.completed,
        cancelled=message.cancelled,
        cancelled_by_reason={
            name_of(common_pb2.Reason.DESCRIPTOR, each.reason): each.orders for each in message.cancelled_by_reason
        },
        customers=message.customers,
        pieces=message.pieces,
        revenue=money(message.revenue),
        refunded=money(message.refunded),
        average_order_value=money(message.average_order_value),
        currencies=list(message.currencies),
    )


def lifetime_value(message: marketing_pb2.LifetimeValue) -> LifetimeValue:
    return LifetimeValue(user_id=message.user_id, orders=message.orders, value=money(message.value))


def popularity(message: marketing_pb2.Popularity) -> Popularity:
    return Popularity(
        product_id=message.product_id,
        name=message.name or None,
        pieces=message.pieces,
        orders=message.orders,
        revenue=money(message.revenue),
    )


def daily_sales(message: marketing_pb2.DailySales) -> DailySales:
    return DailySales(
        day=message.day,
        orders=message.orders,
        pieces=message.pieces,
        revenue=money(message.revenue),
        refunded=money(message.refunded),
        cancelled=message.cancelled,
    )


def money(message: common_pb2.Money) -> Money:
    return Money(amount_minor=message.amount_minor, currency=message.currency)


def name_of(enum: EnumDescriptor, number: int) -> str:
    """A value's name without the prefix that all names of its enum share: "PENDING" of ORDER_STATUS_PENDING.

    A value that this gateway does not know yet comes out as "UNKNOWN_7"."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    value = enum.values_by_number.get(number)
    return value.name.removeprefix(prefix) if value else f"UNKNOWN_{number}"
