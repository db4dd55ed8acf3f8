"""Payloads of dead letters: to JSON for an operator to read and correct, and back, checked by the contract's rules.

A timer is no protobuf: its payload is JSON already.
"""

from __future__ import annotations

import json
from typing import Any, cast

import protovalidate
from buf.validate import validate_pb2
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from protovalidate import Violation
from pydantic.alias_generators import to_camel
from shop.inventory.v1 import commands_pb2 as inventory_commands
from shop.notification.v1 import commands_pb2 as notification_commands
from shop.payment.v1 import commands_pb2 as payment_commands
from shop.shipping.v1 import commands_pb2 as shipping_commands

from gateway import events

_COMMANDS = (inventory_commands, payment_commands, shipping_commands, notification_commands)
_CLASSES: dict[str, type[Message]] = {cls.DESCRIPTOR.full_name: cls for cls in events.PUBLIC} | {
    each.full_name: getattr(module, name)
    for module in _COMMANDS
    for name, each in module.DESCRIPTOR.message_types_by_name.items()
}


class Misfit(Exception):
    """It is not what its type asks for; the text says where."""


def to_document(type_name: str, payload: bytes) -> Any:
    """What a payload says; None where it is nothing of its type, or this gateway does not know the type."""
    cls = _CLASSES.get(type_name)
    try:
        if cls is None:
            return json.loads(payload)
        # With what is 0 or empty too: that may be what is wrong.
        message = cls.FromString(payload)
        return json_format.MessageToDict(message, always_print_fields_with_no_presence=True) if payload else None
    except (DecodeError, ValueError):
        return None


def draft(type_name: str, order_id: str) -> Any:
    """All fields of a type, empty but for the order's id: where to begin, if there is nothing to correct."""
    cls = _CLASSES.get(type_name)
    if cls is None:
        return None
    message = cls()
    _fill(message)
    document = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    if isinstance(order := document.get("order"), dict):
        cast("dict[str, Any]", order)["orderId"] = order_id
    return document


def order_of(document: Any) -> str | None:
    """The id of the order that it tells of, if it does."""
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    order = fields.get("order", fields)
    return str(cast("dict[str, Any]", order).get("orderId") or "") or None if isinstance(order, dict) else None


def _fill(message: Message) -> None:
    """Sets the messages that have to be there."""
    for field in message.DESCRIPTOR.fields:
        rules = cast("Any", field.GetOptions()).Extensions[validate_pb2.field]
        if field.message_type is not None and not field.is_repeated and rules.required:
            getattr(message, field.name).SetInParent()
            _fill(getattr(message, field.name))


def from_document(type_name: str, document: Any) -> bytes:
    """The payload that JSON means. Raises Misfit, which names the field."""
    cls = _CLASSES.get(type_name)
    if cls is None:
        return json.dumps(document).encode()
    try:
        message = json_format.ParseDict(document, cls())
    except (json_format.ParseError, TypeError, AttributeError) as error:
        raise Misfit(" ".join(str(error).split())) from None
    if violations := protovalidate.collect_violations(message):
        raise Misfit("; ".join(f"{_path(each)}: {each.proto.message or ''}" for each in violations))
    return message.SerializeToString()


def _path(violation: Violation) -> str:
    field = violation.proto.field
    names = list[str]()
    for element in field.elements if field else ():
        subscript = element.subscript
        names.append(to_camel(element.field_name) + ("" if subscript is None else f"[{subscript.value}]"))
    return ".".join(names) or "document"
