"""Payloads by the full name of their type: to JSON and back, checked by the rules of the proto files; a skeleton.

The types are those of the generated code. A timer is the exception: it is no protobuf, its payload is JSON already.
"""

import importlib
import json
import pkgutil
from functools import cache
from typing import Any, cast

import msgspec
import protovalidate
import shop
from buf.validate import validate_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from sagaproof.errors import CommandError
from services.engine.messages import TIMER_TYPE, describe
from services.engine.participant import TimerFired


class Misfit(Exception):
    """It is not what its type asks for; the text says where."""


@cache
def types() -> dict[str, type[Message]]:
    """Every message of the generated code by its full name."""
    names = [module.name for module in pkgutil.walk_packages(shop.__path__, "shop.") if module.name.endswith("_pb2")]
    files = [importlib.import_module(name).DESCRIPTOR for name in names]
    return {found.full_name: GetMessageClass(found) for file in files for found in file.message_types_by_name.values()}


def full_name(name: str) -> str:
    """`OrderCreated` or `shop.order.v1.OrderCreated` as the latter. Raises CommandError if it is none, or several."""
    known = [*types(), TIMER_TYPE]
    found = [each for each in known if name in (each, each.rpartition(".")[2])]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"there are several {name}; which one?", found)
    like = [each for each in known if name.lower() in each.lower()]
    raise CommandError(f"there is no message type {name!r}", [f"there is {each}" for each in like])


def to_document(type_name: str, payload: bytes) -> Any:
    """What a payload says, as JSON's values; None where it is nothing of its type, or the type is not known."""
    try:
        if type_name == TIMER_TYPE:
            return json.loads(payload)
        cls = types().get(type_name)
        if cls is None or not payload:
            return None
        # With what is 0 or empty too: that may be what is wrong.
        return json_format.MessageToDict(cls.FromString(payload), always_print_fields_with_no_presence=True)
    except (DecodeError, json_format.SerializeToJsonError, ValueError):
        return None


def from_json(type_name: str, text: str) -> bytes:
    """The payload that JSON means. Raises Misfit, naming the field, and CommandError if the type is not known."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise Misfit(f"not JSON: {error}") from None
    if type_name == TIMER_TYPE:
        payload = msgspec.json.encode(given)
    else:
        try:
            payload = json_format.ParseDict(given, types()[full_name(type_name)]()).SerializeToString()
        except (json_format.ParseError, TypeError, AttributeError) as error:
            raise Misfit(" ".join(str(error).split())) from None
    check(type_name, payload)
    return payload


def check(type_name: str, payload: bytes) -> None:
    """Raises Misfit if a service would not take this payload as one of the type."""
    if type_name == TIMER_TYPE:
        try:
            msgspec.json.decode(payload, type=TimerFired)
        except msgspec.DecodeError as error:
            raise Misfit(f"not a timer: {error}") from None
        return
    try:
        message = types()[full_name(type_name)].FromString(payload)
    except DecodeError as error:
        raise Misfit(f"not a {type_name}: {error}") from None
    violations = protovalidate.collect_violations(message)
    if violations:
        raise Misfit(describe(violations))
    if not payload:
        raise Misfit("it is empty")


def has_more(type_name: str, payload: bytes) -> bool:
    """Whether a payload has fields that our code does not know of its type, and that its JSON therefore lacks."""
    cls = types().get(type_name)
    try:
        message: Any = None if cls is None else cls.FromString(payload)
    except DecodeError:
        return False
    if message is None:
        return False
    before = message.ByteSize()
    message.DiscardUnknownFields()
    return message.ByteSize() < before


def skeleton(type_name: str) -> Any:
    """JSON of the type with every field in it, empty; null is a message that may be absent. Raises CommandError."""
    if type_name == TIMER_TYPE:
        return dict.fromkeys(TimerFired.__struct_fields__, "")
    return _empty(types()[full_name(type_name)].DESCRIPTOR)


def _empty(message: Any, above: tuple[str, ...] = ()) -> Any:
    below = (*above, message.full_name)
    fields = [each for each in message.fields if not each.containing_oneof or each == each.containing_oneof.fields[0]]
    return {field.json_name: _empty_field(field, below) for field in fields}


def _empty_field(field: FieldDescriptor, above: tuple[str, ...]) -> Any:
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            return {}
        rules = cast("Any", field.GetOptions()).Extensions[validate_pb2.field]
        wanted = (field.is_repeated or rules.required) and field.message_type.full_name not in above
        value = _empty(field.message_type, above) if wanted else None
        return [value] if field.is_repeated and value else value
    if field.enum_type is not None and not field.is_repeated:
        return field.enum_type.values[0].name
    return "" if isinstance(field.default_value, bytes) else field.default_value
