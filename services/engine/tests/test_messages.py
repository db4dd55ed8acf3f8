"""Records as messages, and every way in which a record can be wrong."""

from datetime import UTC, datetime

import msgspec
import protovalidate
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from shop.common.v1.common_pb2 import OrderItem
from shop.order.v1.events_pb2 import OrderCreated
from shop.order.v1.service_pb2 import PlaceOrderRequest

from services.engine.messages import (
    TIMER_TYPE,
    Message,
    Record,
    Undecodable,
    decode,
    describe,
    encode_headers,
    field_path,
    format_time,
    parse_time,
    timer_record,
)
from services.engine.participant import TimerFired
from services.engine.tests.toy import SAID, START_US, TRACE, Do, said, toy
from services.tests.shop import ORDER, PARTICIPANTS

TOY = toy()
GOOD = said("a add", "id-1")


def with_header(name: str, value: bytes) -> Record:
    return replace(GOOD, headers={**GOOD.headers, name: value})


def without(name: str) -> Record:
    return replace(GOOD, headers={n: value for n, value in GOOD.headers.items() if n != name})


def test_a_record_becomes_the_command_that_it_means_with_the_keys_of_its_handler() -> None:
    expected = Message("id-1", Do("a", "add"), SAID, TRACE, GOOD, keys=["counter/a"], time_us=START_US)
    assert decode(GOOD, TOY) == expected


def test_a_type_that_the_service_does_not_know_is_skipped_and_not_poison() -> None:
    assert decode(with_header("ce_type", b"shop.future.v1.Invented"), TOY) is None


POISON = {
    "empty": (replace(GOOD, value=b""), "empty"),
    "garbage": (replace(GOOD, value=b"\xff\xfe garbage"), f"not a {SAID}"),
    "truncated": (replace(GOOD, value=GOOD.value[:-1]), f"not a {SAID}"),
    "of another type": (replace(GOOD, value=BytesValue(value=b"\xff\xff").SerializeToString()), f"not a {SAID}"),
    "900 KB of garbage": (replace(GOOD, value=b"\xff" * 900_000), f"not a {SAID}"),
    "no id": (without("ce_id"), "ce_id is missing"),
    "no type": (without("ce_type"), "ce_type is missing"),
    "no time": (without("ce_time"), "not a time"),
    "no headers": (replace(GOOD, headers={}), "ce_type is missing"),
    "an empty id": (with_header("ce_id", b""), "1 to 255"),
    "an id that is too long": (with_header("ce_id", b"x" * 256), "1 to 255"),
    "an id that is not UTF-8": (with_header("ce_id", b"\xff"), "not UTF-8"),
    "an id with control characters": (with_header("ce_id", b"a\nb"), "printable"),
    "a type that is not UTF-8": (with_header("ce_type", b"\xff"), "not UTF-8"),
    "a time that is none": (with_header("ce_time", b"yesterday"), "not a time"),
    "a time that is not UTF-8": (with_header("ce_time", b"\xff"), "not a time"),
    "a time without a zone": (with_header("ce_time", b"2026-01-01T00:00:00"), "no time zone"),
    "a timer": (with_header("ce_type", TIMER_TYPE.encode()), "a timer does not come by Kafka"),
    "what no code expected": (said("only-one-word"), "ValueError"),
}


@pytest.mark.parametrize(("record", "cause"), POISON.values(), ids=POISON)
def test_poison_is_undecodable_and_says_why(record: Record, cause: str) -> None:
    with pytest.raises(Undecodable, match=cause):
        decode(record, TOY)


def test_an_event_that_breaks_a_field_rule_is_poison_and_names_the_field() -> None:
    broken = OrderCreated(order=ORDER)
    broken.order.items[0].quantity = 0
    record = replace(with_header("ce_type", b"shop.order.v1.OrderCreated"), value=broken.SerializeToString())
    with pytest.raises(Undecodable, match=r"order.items\[0\].quantity"):
        decode(record, PARTICIPANTS["inventory"])


@given(st.binary(max_size=200), st.dictionaries(st.sampled_from(sorted(GOOD.headers)), st.binary(max_size=40)))
def test_whatever_comes_is_a_message_or_skipped_or_undecodable(value: bytes, headers: dict[str, bytes]) -> None:
    record = replace(GOOD, value=value, headers={**GOOD.headers, **headers})
    for participant in (TOY, PARTICIPANTS["status"], PARTICIPANTS["inventory"]):
        try:
            message = decode(record, participant)
        except Undecodable:
            continue
        assert message is None or message.keys


@pytest.mark.parametrize("traceparent", [b"", b"\xff\xff", b"x" * 5000])
def test_a_wrong_traceparent_does_no_harm(traceparent: bytes) -> None:
    assert decode(with_header("traceparent", traceparent), TOY) is not None


def test_a_record_is_named_by_its_place() -> None:
    assert Record("orders", 3, 17, b"", {}, b"").place == "orders/3/17"


def test_a_record_is_replayed_under_the_id_of_its_dead_letter() -> None:
    assert without("ce_id").with_id("given").headers["ce_id"] == b"given"
    assert GOOD.with_id("given").headers["ce_id"] == b"given"
    assert GOOD.with_value(b"corrected").value == b"corrected"


def timer_of(entity: str) -> Record:
    return timer_record(Message("timer-1", TimerFired(entity, "tick"), TIMER_TYPE))


def test_a_timer_survives_being_written_down_as_a_dead_letter() -> None:
    record = timer_of("counter/a")
    assert record.key == b"a"
    message = decode(record, TOY)
    assert message == Message("timer-1", TimerFired("counter/a", "tick"), TIMER_TYPE, record=record, keys=["counter/a"])


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        (timer_of("counter/a").with_value(b"{"), "not a timer"),
        (timer_of("counter/a").with_value(msgspec.json.encode({"entity": 1})), "not a timer"),
        (timer_of("unknown/a"), "no timer of toy"),
    ],
    ids=["no JSON", "other fields", "another kind of entity"],
)
def test_a_timer_that_was_corrected_wrongly_is_undecodable(record: Record, cause: str) -> None:
    with pytest.raises(Undecodable, match=cause):
        decode(record, TOY)


def test_the_headers_are_those_of_the_cloud_events_binding() -> None:
    headers = encode_headers(
        message_id="i", type_name="T", source="order", time_us=START_US, traceparent=TRACE, cause_id="c"
    )
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"i",
        "ce_type": b"T",
        "ce_source": b"/sagaproof/order",
        "ce_time": b"2023-11-14T22:13:20.000000Z",
        "ce_causationid": b"c",
        "content-type": b"application/protobuf",
        "traceparent": TRACE.encode(),
    }


def test_an_event_without_a_trace_has_no_header_for_it() -> None:
    headers = encode_headers(message_id="i", type_name="T", source="s", time_us=0, traceparent="", cause_id="c")
    assert "traceparent" not in dict(headers)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_being_written_and_read(at: datetime) -> None:
    text = at.isoformat().encode()
    assert parse_time(format_time(parse_time(text)).encode()) == parse_time(text)


def test_a_time_of_any_zone_is_the_same_moment() -> None:
    assert parse_time(b"1970-01-01T02:00:00+02:00") == parse_time(b"1970-01-01T00:00:00Z") == 0


def test_violations_are_described_by_their_paths() -> None:
    request = PlaceOrderRequest(
        order_id="no uuid", user_id="u", items=[OrderItem(product_id="p", quantity=1), OrderItem(product_id="p")]
    )
    violations = protovalidate.collect_violations(request)
    assert [field_path(violation) for violation in violations] == ["order_id", "items[1].quantity"]
    assert "order_id" in describe(violations) and "; items[1].quantity" in describe(violations)
