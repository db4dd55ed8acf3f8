"""Status documents for tests."""

from __future__ import annotations

from typing import Any

from shop.common.v1 import common_pb2
from shop.status.v1 import service_pb2


def document(order_id: str, seq: int, **changes: Any) -> service_pb2.StatusDocument:
    price = common_pb2.Money(amount_minor=2999, currency="USD")
    fields: dict[str, Any] = {
        "order_id": order_id,
        "user_id": "user-1",
        "status": common_pb2.ORDER_STATUS_PENDING,
        "items": [common_pb2.OrderItem(product_id="product-1", quantity=2, unit_price=price)],
        "total": common_pb2.Money(amount_minor=5998, currency="USD"),
        "seq": seq,
    }
    return service_pb2.StatusDocument(**(fields | changes))


def delivered(order_id: str, seq: int) -> service_pb2.StatusDocument:
    delivery = service_pb2.Delivery(
        status=common_pb2.DELIVERY_STATUS_DELIVERED, tracking_number="TRK-1", address="1 Main Street"
    )
    return document(order_id, seq, status=common_pb2.ORDER_STATUS_COMPLETED, delivery=delivery)


def cancelled(order_id: str, seq: int) -> service_pb2.StatusDocument:
    reason = common_pb2.REASON_OUT_OF_STOCK
    return document(order_id, seq, status=common_pb2.ORDER_STATUS_CANCELLED, reason=reason)
