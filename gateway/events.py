"""Events of the event log as JSON: camelCase, enums as bare names, and amounts as numbers, as everywhere else.

Protobuf's own JSON mapping would write 64-bit integers as strings.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from google.protobuf.message import DecodeError, Message
from shop.inventory.v1 import events_pb2 as inventory_events
from shop.notification.v1 import events_pb2 as notification_events
from shop.order.v1 import events_pb2 as order_events
from shop.payment.v1 import events_pb2 as payment_events
from shop.shipping.v1 import events_pb2 as shipping_events
from shop.status.v1 import log_pb2

from gateway.documents import name_of
from gateway.problems import invalid
from gateway.views import time_text

PUBLIC: tuple[type[Message], ...] = (
    order_events.OrderCreated,
    order_events.OrderCancellationRequested,
    order_events.OrderCompleted,
    order_events.OrderCancelled,
    inventory_events.InventoryConfirmed,
    inventory_events.InventoryRejected,
    inventory_events.InventoryReleased,
    inventory_events.StockReplenished,
    payment_events.PaymentCompleted,
    payment_events.PaymentFailed,
    payment_events.PaymentRefunded,
    shipping_events.Shipped,
    shipping_events.ShipmentFailed,
    shipping_events.CancellationRefused,
    shipping_events.DeliveryProgressed,
    notification_events.NotificationSent,
)
"""The types that the event log can have, as far as this gateway knows."""
SHORT_NAMES = tuple(sorted(cls.DESCRIPTOR.name for cls in PUBLIC))
_CLASSES = {cls.DESCRIPTOR.full_name: cls for cls in PUBLIC}


def known_type(name: str) -> str:
    """The short or full name of a type, as it is. ValueError for any other."""
    if name not in SHORT_NAMES and name not in _CLASSES:
        raise ValueError(f"must be one of {', '.join(SHORT_NAMES)}")
    return name


def full_name(short_name: str) -> str:
    """The full name of a type. Raises ProblemError for any other text."""
    for name in _CLASSES:
        if short_name in (name, name.rpartition(".")[2]):
            return name
    raise invalid("messageType", f"must be one of {', '.join(SHORT_NAMES)}")


def document(event: log_pb2.LoggedEvent) -> dict[str, Any]:
    """The JSON document of an event, see `views.Event`."""
    full_type = event.event.type_url.rpartition("/")[2]
    data = _data(full_type, event.event.value)
    order_id = None if data is None else data.get("order", {}).get("orderId")
    return {
        "id": event.id,
        "type": full_type.rpartition(".")[2],
        "fullType": full_type,
        "time": time_text(event.time),
        "service": event.service,
        "topic": event.topic,
        "key": event.key,
        "orderId": order_id,
        "causationId": event.causation_id or None,
        "traceId": event.trace_id or None,
        "data": data,
    }


def text(event: log_pb2.LoggedEvent) -> str:
    """The document as JSON."""
    return msgspec.json.encode(document(event)).decode()


def _data(full_type: str, payload: bytes) -> dict[str, Any] | None:
    known = _CLASSES.get(full_type)
    if known is None:
        return None
    try:
        return _plain(known.FromString(payload))
    except DecodeError:
        return None


def _plain(message: Message) -> dict[str, Any]:
    """Every field, but for messages that are not there."""
    return {
        field.camelcase_name: _value(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _value(field: Any, value: Any) -> Any:
    return [_one(field, each) for each in value] if field.is_repeated else _one(field, value)


def _one(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return _plain(value)
    if field.enum_type is not None:
        return name_of(field.enum_type, value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
