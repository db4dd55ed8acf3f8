"""What is told of a dead letter: its order, what is wrong with it, what to do next, what it costs to discard it."""

import json
from collections.abc import Mapping

import pytest
from google.protobuf.message import Message
from shop.admin.v1 import service_pb2 as pb
from shop.common.v1.common_pb2 import Order
from shop.inventory.v1.commands_pb2 import ReleaseInventory
from shop.inventory.v1.events_pb2 import StockReplenished
from shop.payment.v1.events_pb2 import PaymentFailed
from shop.shipping.v1.events_pb2 import Shipped

from sagaproof import payloads, show_dlq
from sagaproof.dead_letters import Letter
from sagaproof.errors import CommandError
from services.engine.messages import TIMER_TYPE
from services.saga import SAGA, Row, full_name

ORDER_ID = "0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04"
TIMER = json.dumps({"entity": f"order/{ORDER_ID}", "name": "deadline"}).encode()


def letter(
    service: str, type_name: str, payload: bytes = b"", key: str = "", headers: Mapping[str, bytes] | None = None
) -> Letter:
    good = {"ce_type": type_name.encode(), "ce_time": b"2026-01-02T03:04:05Z"}
    raw = pb.DeadLetter(id="a b", status=pb.DEAD_LETTER_STATUS_OPEN, payload=payload, key=key.encode())
    for name, value in {**good, **(headers or {})}.items():
        raw.headers[name] = value
    return Letter(service, raw)


@pytest.mark.parametrize("row", SAGA, ids=lambda row: f"{row.participant} {row.event.DESCRIPTOR.name}")
def test_every_row_of_the_saga_says_what_it_means_to_lose_its_message_in_either_mode(row: Row) -> None:
    told = letter(row.participant, full_name(row.event)).if_discarded
    assert letter(row.participant, full_name(row.command)).if_discarded == told
    assert ("order never hears of it" in told) == (row.participant == "order")


@pytest.mark.parametrize(
    ("service", "event", "told"),
    [
        ("inventory", PaymentFailed, "the reserved pieces stay as they are: rather replay it"),
        ("inventory", Shipped, "stay reserved for ever"),
        ("order", Shipped, "order never hears of it"),
        ("status", Shipped, "/status"),
        ("marketing", Shipped, "figures"),
        ("orchestrator", Shipped, "commands that follow"),
    ],
)
def test_what_is_lost_depends_on_who_lost_it(service: str, event: type[Message], told: str) -> None:
    assert told in letter(service, full_name(event)).if_discarded


def test_the_order_is_known_by_the_payload_or_else_by_the_key() -> None:
    shipped = full_name(Shipped)
    assert letter("order", shipped, Shipped(order=Order(order_id=ORDER_ID)).SerializeToString()).order_id == ORDER_ID
    assert letter("order", shipped, b"\xff", ORDER_ID).order_id == ORDER_ID
    assert letter("order", shipped, b"\xff", "key").order_id == ""
    assert letter("status", full_name(StockReplenished), b"\xff", "product-1").order_id == ""


def test_a_timer_is_json_and_can_be_corrected() -> None:
    timer = letter("order", TIMER_TYPE, TIMER)
    assert timer.document == {"entity": f"order/{ORDER_ID}", "name": "deadline"}
    assert timer.fault_of_headers == timer.fault_of_payload == ""
    assert "the timer does not fire again" in timer.if_discarded
    assert payloads.from_json(TIMER_TYPE, TIMER.decode()) == TIMER.replace(b", ", b",").replace(b": ", b":")
    broken = letter("order", TIMER_TYPE, b'{"entity": 1}')
    assert broken.fault_of_payload.startswith("not a timer")
    assert letter("order", TIMER_TYPE, b"{").draft == {"entity": "", "name": ""}


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({"ce_type": b""}, "the header ce_type is missing"),
        ({"ce_type": b"shop.order.v9.OrderDreamt"}, "ce_type is no type of ours"),
        ({"ce_time": b"yesterday"}, "ce_time is not a time"),
    ],
)
def test_a_letter_whose_headers_are_at_fault_can_only_be_discarded(headers: dict[str, bytes], fault: str) -> None:
    found = letter("inventory", full_name(Shipped), headers=headers)
    assert found.fault_of_headers.startswith(fault)
    assert [command for command, _ in found.next_lines] == ["sagaproof dlq discard inventory 'a b'"]


def test_a_letter_that_is_well_formed_can_be_replayed_as_it_is() -> None:
    order = payloads.from_json(
        full_name(Shipped),
        json.dumps(
            {
                "order": {"orderId": ORDER_ID, "userId": "ann", "items": [{"productId": "p", "quantity": 1}]},
                "trackingNumber": "T1",
            }
        ),
    )
    commands = [command for command, _ in letter("inventory", full_name(Shipped), order).next_lines]
    assert commands == [
        "sagaproof dlq replay inventory 'a b'",
        "sagaproof dlq edit inventory 'a b'",
        "sagaproof dlq discard inventory 'a b'",
        f"sagaproof events --order {ORDER_ID}",
    ]


def test_fields_that_are_not_known_here_are_said() -> None:
    unknown = Shipped(order=Order(order_id=ORDER_ID)).SerializeToString() + b"\xf8\x07\x01"  # field 127
    shown = "\n".join(line.plain for line in show_dlq.letter(letter("inventory", full_name(Shipped), unknown)))
    assert "fields that are not known here: an edit would lose them" in shown
    assert not payloads.has_more(full_name(Shipped), b"\xff")


@pytest.mark.parametrize("cls", dict.fromkeys(cls for row in SAGA for cls in row[1:3]), ids=full_name)
def test_the_skeleton_of_every_type_is_json_of_it_and_lacks_only_values(cls: type[Message]) -> None:
    type_name = full_name(cls)
    text = json.dumps(payloads.skeleton(type_name))
    with pytest.raises(payloads.Misfit, match=r"order\.order_id"):
        payloads.from_json(type_name, text)
    filled = text.replace('"orderId": ""', f'"orderId": "{ORDER_ID}"').replace('"userId": ""', '"userId": "ann"')
    filled = filled.replace('"productId": ""', '"productId": "p"').replace('"quantity": 0', '"quantity": 1')
    assert "order" not in misfit(type_name, filled)  # what is left is its own: a reason, say


def misfit(type_name: str, text: str) -> str:
    try:
        payloads.from_json(type_name, text)
    except payloads.Misfit as error:
        return str(error)
    return ""


def test_a_type_can_be_named_in_short_where_there_is_one_of_the_name() -> None:
    assert payloads.full_name("OrderCreated") == "shop.order.v1.OrderCreated"
    assert payloads.full_name("shop.inventory.v1.ReleaseInventory") == full_name(ReleaseInventory)
    with pytest.raises(CommandError, match="there is no message type 'OrderDreamt'"):
        payloads.full_name("OrderDreamt")


def test_a_dump_is_of_the_beginning_only() -> None:
    lines = list(show_dlq.dump(b"ab\xff" * 100))
    assert lines[0] == "0000  61 62 ff 61 62 ff 61 62 ff 61 62 ff 61 62 ff 61  ab.ab.ab.ab.ab.a"
    assert len(lines) == show_dlq.DUMPED_MAX // 16 + 1
    assert lines[-1] == "... 172 bytes more"
