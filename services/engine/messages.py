"""What comes in: Kafka records, RPC commands and due timers, all as `Message`; and the CloudEvents headers on Kafka.

Headers follow the CloudEvents Kafka binding in binary mode, with `traceparent` (W3C) and one extension of ours,
`ce_causationid`: the id of the message that caused this one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import msgspec
import protovalidate
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto
from msgspec.structs import replace

from services.engine.participant import Participant, Received, Refusal, Reply, TimerFired

TIMER_TYPE = "sagaproof.engine.TimerFired"
"""The type of a timer's message where it has to be written down: in a dead letter."""

_violations = protovalidate.Validator().collect_violations
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID_MAX = 255

Answer = Callable[[Reply | Refusal | Exception], None]


class Record(msgspec.Struct, frozen=True):
    """A Kafka record as it came, or a dead letter's copy of one."""

    topic: str
    partition: int
    offset: int
    key: bytes
    headers: Mapping[str, bytes]
    value: bytes

    @property
    def place(self) -> str:
        """Where it stands: the id of a record whose own cannot be trusted."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def with_value(self, value: bytes) -> "Record":
        return replace(self, value=value)

    def with_id(self, message_id: str) -> "Record":
        """The same record under this id."""
        return replace(self, headers={**self.headers, "ce_id": message_id.encode()})


class Message(msgspec.Struct):
    """One piece of work for the loop.

    id:      what its inbox row and the ids of the events that it causes are made of
    command: what the handler gets
    type:    full name of the type that came in (an event's, a request's or TIMER_TYPE)
    record:  the Kafka record that it came by, if it did
    answer:  where an RPC waits for the reply
    replay:  id of the dead letter that is handled again; the inbox row of its first delivery does not drop it
    keys:    the entities that its handler named
    time_us: when the event that came in happened, by its sender's clock; 0 of a request or a timer
    """

    id: str
    command: Any
    type: str
    traceparent: str = ""
    record: Record | None = None
    answer: Answer | None = None
    replay: str = ""
    keys: Sequence[str] = ()
    time_us: int = 0


class Undecodable(Exception):
    """A record that no code can make sense of. It is dead-lettered under its place, and the partition moves on."""


def decode(record: Record, participant: Participant) -> Message | None:
    """The message that a record means for the participant; None if its type is not one that it knows.

    Raises Undecodable, with the cause.
    """
    headers = record.headers
    if not record.value:
        raise Undecodable("the record is empty")
    known = participant.consumes_by_header.get(headers.get("ce_type"))
    if known is None:
        return _decode_unknown(record, participant)
    message_id = _text("ce_id", headers.get("ce_id"))
    type_name, cls, translate = known
    try:
        body = cls.FromString(record.value)
    except DecodeError as error:
        raise Undecodable(f"not a {type_name}: {error}") from error
    violations = _violations(body)
    if violations:
        raise Undecodable(f"not a valid {type_name}: {describe(violations)}")
    time_us = parse_time(headers.get("ce_time", b""))
    received = Received(body, message_id, _source(headers.get("ce_source", b"")), time_us, record.partition)
    traceparent = headers.get("traceparent", b"").decode("ascii", "replace")
    try:
        message = Message(message_id, translate(received), type_name, traceparent, record, time_us=time_us)
        return with_keys(message, participant)
    except Exception as error:  # valid by its rules, and yet no code expected it: an enum value of tomorrow, say
        raise Undecodable(f"{type(error).__name__}: {error}") from error


def _decode_unknown(record: Record, participant: Participant) -> Message | None:
    """Of a type that the participant does not consume: a timer, or one to be skipped."""
    if _known_text("ce_type", record.headers.get("ce_type")) != TIMER_TYPE:
        return None
    message_id = _text("ce_id", record.headers.get("ce_id"))
    return with_keys(_decode_timer(record, message_id, participant), participant)


@lru_cache(maxsize=64)
def _source(header: bytes) -> str:
    return header.decode("utf-8", "replace")


def with_keys(message: Message, participant: Participant) -> Message:
    """The message, with the entities that its handler names."""
    message.keys = participant.handlers[type(message.command)].keys(message.command)
    return message


def _decode_timer(record: Record, message_id: str, participant: Participant) -> Message:
    # Only a replayed dead letter comes this way; a record on a topic that claims to be a timer is poison.
    if record.topic:
        raise Undecodable("a timer does not come by Kafka")
    try:
        fired = msgspec.json.decode(record.value, type=TimerFired)
    except msgspec.DecodeError as error:
        raise Undecodable(f"not a timer: {error}") from error
    if TimerFired not in participant.handlers or fired.entity.partition("/")[0] not in participant.kinds:
        raise Undecodable(f"no timer of {participant.name}: {fired.entity}")
    return Message(message_id, fired, TIMER_TYPE, record=record)


def timer_record(message: Message) -> Record:
    """A timer's message in the shape of a record, to be kept as a dead letter."""
    headers = {"ce_id": message.id.encode(), "ce_type": TIMER_TYPE.encode()}
    fired: TimerFired = message.command
    return Record("", 0, 0, fired.entity_id.encode(), headers, msgspec.json.encode(fired))


def encode_headers(
    *, message_id: str, type_name: str, source: str, time_us: int, traceparent: str, cause_id: str
) -> list[tuple[str, bytes]]:
    """The headers of a published event."""
    headers = [
        *_common_headers(type_name, source),
        ("ce_id", message_id.encode()),
        ("ce_time", _time_header(time_us)),
        ("ce_causationid", cause_id.encode()),
    ]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return headers


@cache
def _common_headers(type_name: str, source: str) -> tuple[tuple[str, bytes], ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", type_name.encode()),
        ("ce_source", f"/sagaproof/{source}".encode()),
        ("content-type", b"application/protobuf"),
    )


@lru_cache(maxsize=64)
def _time_header(time_us: int) -> bytes:
    """All events of one transaction have the same time."""
    return format_time(time_us).encode()


def describe(violations: list[protovalidate.Violation]) -> str:
    """Violations of field rules as one line for people."""
    return "; ".join(f"{field_path(v) or 'the message'} {v.proto.message}" for v in violations)


def field_path(violation: protovalidate.Violation) -> str:
    """The path of the field at fault, for example `items[0].quantity`; '' for the message itself."""
    path = ""
    field = violation.proto.field
    for element in field.elements if field else ():
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            path += f"[{subscript.value}]"
    return path


def format_time(time_us: int) -> str:
    """RFC 3339 in UTC, with microseconds."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


@lru_cache(maxsize=256)
def parse_time(text: bytes) -> int:
    """Microseconds since 1970 of an RFC 3339 time; Undecodable if it is none.

    All events of one transaction have the same time, so most have been read before.
    """
    try:
        at = datetime.fromisoformat(text.decode())
    except ValueError as error:
        raise Undecodable(f"ce_time is not a time: {text[:64]!r}") from error
    if at.tzinfo is None:
        raise Undecodable(f"ce_time has no time zone: {text[:64]!r}")
    return (at - _EPOCH) // timedelta(microseconds=1)


def type_name(body: Proto) -> str:
    """The full name of a message's type, for example `shop.order.v1.OrderCreated`."""
    return body.DESCRIPTOR.full_name


def _text(name: str, header: bytes | None) -> str:
    if header is None:
        raise Undecodable(f"the header {name} is missing")
    try:
        text = header.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"the header {name} is not UTF-8") from error
    if not text.isprintable() or not 0 < len(text) <= _ID_MAX:
        raise Undecodable(f"the header {name} is not 1 to {_ID_MAX} printable characters")
    return text


_known_text = lru_cache(maxsize=256)(_text)
