"""Records that nobody can decode, one kind each, and which services must find that out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import Order, OrderItem

from services.engine.messages import encode_headers
from services.engine.participant import Participant
from services.saga import TOPIC_OF, full_name

Kind = Literal[
    "empty",
    "no-value",
    "no-headers",
    "no-type",
    "no-id",
    "no-time",
    "no-order",
    "no-order-id",
    "garbage",
    "truncated",
    "much-garbage",
    "a-time-that-is-none",
    "an-id-that-is-too-long",
    "an-id-that-is-no-text",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
EVENTS: Mapping[str, type[Proto]] = {
    full_name(cls): cls for cls in TOPIC_OF if "order" in cls.DESCRIPTOR.fields_by_name
}
"""What poison may claim to be, by its full name: the public events of orders."""
TYPE_UNKNOWN: tuple[Kind, ...] = ("empty", "no-value", "no-headers", "no-type")
"""Whoever reads the topic must refuse these; of others, who does not consume the type does not look inside."""
_OTHER_FIELD = b"\xba\x3e\x01x"
"""Field 999, which no message has."""

_VALUES: Mapping[Kind, Callable[[bytes], bytes | None]] = {
    "empty": lambda _: b"",
    "no-value": lambda _: None,
    "no-order": lambda _: _OTHER_FIELD,
    "garbage": lambda _: b"\xff\x00garbage" * 10,
    "truncated": lambda good: good[:-3],
    "much-garbage": lambda _: b"\xff\x00garbage" * 100_000,
}
_HEADERS: Mapping[Kind, Mapping[str, bytes | None]] = {
    "no-type": {"ce_type": None},
    "no-id": {"ce_id": None},
    "no-time": {"ce_time": None},
    "a-time-that-is-none": {"ce_time": b"yesterday"},
    "an-id-that-is-too-long": {"ce_id": b"x" * 100_000},
    "an-id-that-is-no-text": {"ce_id": b"\xff\xfe"},
}
"""What differs from a good event; None is left out."""


class Poison(NamedTuple):
    """A record that is to be put on a topic."""

    topic: str
    key: bytes
    headers: dict[str, bytes]
    value: bytes | None


def poison(kind: Kind, message_type: str, order_id: str, message_id: str, now_us: int) -> Poison:
    """An event of the type and the order, with the one thing wrong that the kind names."""
    cls: Any = EVENTS[message_type]
    claimed = "none" if kind == "no-order-id" else order_id
    order = Order(order_id=claimed, user_id="poisoner", items=[OrderItem(product_id="product-1", quantity=1)])
    good: bytes = cls(order=order).SerializeToString()
    headers = encode_headers(
        message_id=message_id, type_name=message_type, source="nobody", time_us=now_us, traceparent="", cause_id=""
    )
    changed = {**dict(headers), **_HEADERS.get(kind, {})}
    kept = {name: value for name, value in changed.items() if value is not None and kind != "no-headers"}
    value = _VALUES.get(kind, lambda good: good)(good)
    return Poison(TOPIC_OF[cls], order_id.encode(), kept, value)


def buried_by(kind: Kind, message_type: str, participants: Iterable[Participant]) -> list[str]:
    """The services that must make a dead letter of it, sorted."""
    topic = TOPIC_OF[EVENTS[message_type]]
    return sorted(
        each.name
        for each in participants
        if topic in each.topics and (kind in TYPE_UNKNOWN or message_type in each.consumes)
    )
