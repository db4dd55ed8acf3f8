"""The status document: what a set of events shows, whatever their order."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from google.protobuf.message import Message as Proto
from hypothesis import given as given_any
from hypothesis import strategies as st
from shop.common.v1.common_pb2 import DeliveryStatus, OrderStatus, Reason
from shop.inventory.v1.events_pb2 import InventoryConfirmed, InventoryRejected, InventoryReleased, StockReplenished
from shop.notification.v1.events_pb2 import NotificationSent
from shop.order.v1.events_pb2 import OrderCancellationRequested, OrderCancelled, OrderCompleted, OrderCreated
from shop.payment.v1.events_pb2 import PaymentCompleted, PaymentFailed, PaymentRefunded
from shop.shipping.v1.events_pb2 import CancellationRefused, DeliveryProgressed, ShipmentFailed, Shipped
from shop.status.v1 import service_pb2 as pb

from services import saga
from services.engine.participant import Fold, IndexRow, Received, State
from services.status.documents import document
from services.status.fold import Heard, Saw, Seen, StatusState, index_rows, noted, participant, saw
from services.tests import shop
from services.tests.given import decide, fold
from services.tests.shop import ORDER, ORDER_ID, PRICED, usd

STATUS = participant()
ENTITY = f"status/{ORDER_ID}"
TOTAL = PRICED.total

CREATED = OrderCreated(order=ORDER)
ASKED = OrderCancellationRequested(order=ORDER, reason=Reason.REASON_CANCELLED_BY_CUSTOMER)
TIMED_OUT = OrderCancellationRequested(order=ORDER, reason=Reason.REASON_TIMED_OUT)
COMPLETED = OrderCompleted(order=PRICED)
CONFIRMED = InventoryConfirmed(order=PRICED)
REJECTED = InventoryRejected(order=ORDER, detail="product-1: 2 wanted, 1 available")
RELEASED = InventoryReleased(order=PRICED)
PAID = PaymentCompleted(order=PRICED, amount=TOTAL)
UNPAID = PaymentFailed(order=PRICED, detail="too little")
REFUNDED = PaymentRefunded(order=PRICED, amount=TOTAL)
REFUNDED_NOTHING = PaymentRefunded(order=ORDER, amount=usd(0))
SHIPPED = Shipped(order=PRICED, tracking_number="SP-1")
UNSHIPPED = ShipmentFailed(order=PRICED, reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE")
STOPPED = ShipmentFailed(order=ORDER, reason=Reason.REASON_CANCELLED_BY_CUSTOMER)
REFUSED = CancellationRefused(order=PRICED)


def progressed(status: DeliveryStatus) -> DeliveryProgressed:
    return DeliveryProgressed(order=PRICED, status=status, tracking_number="SP-1")


IN_TRANSIT, OUT_FOR_DELIVERY, DELIVERED = map(
    progressed,
    (
        DeliveryStatus.DELIVERY_STATUS_IN_TRANSIT,
        DeliveryStatus.DELIVERY_STATUS_OUT_FOR_DELIVERY,
        DeliveryStatus.DELIVERY_STATUS_DELIVERED,
    ),
)


def received(event: Proto) -> Saw:
    """The event as it comes from its service; its time is the same whenever it comes."""
    time_us = 1_700_000_000_000_000 + sum(event.DESCRIPTOR.name.encode())
    service = event.DESCRIPTOR.full_name.split(".")[1]
    return saw(Received(event, f"id-{event.DESCRIPTOR.name}", f"/sagaproof/{service}", time_us))


def all_folded(events: Sequence[Proto]) -> dict[str, State]:
    """Every entity after these events."""
    entities = fold(STATUS, {}, [])
    for event in events:
        entities = fold(STATUS, entities, decide(STATUS, entities, received(event)))
    return entities


def folded(events: Sequence[Proto]) -> StatusState:
    state = all_folded(events)[ENTITY]
    assert isinstance(state, StatusState)
    return state


class Shown(NamedTuple):
    """A row: these events show this status, reason, payment and delivery."""

    events: Sequence[Proto]
    status: str
    reason: str = "UNSPECIFIED"
    detail: str = ""
    payment: str = "PENDING"
    delivery: str = "UNSPECIFIED"


ROWS = [
    Shown([CREATED], "PENDING"),
    Shown([CREATED, ASKED], "PENDING"),
    Shown([CREATED, CONFIRMED], "AWAITING_PAYMENT"),
    Shown([CREATED, CONFIRMED, PAID], "AWAITING_SHIPMENT", payment="COMPLETED"),
    Shown([CREATED, PAID], "AWAITING_SHIPMENT", payment="COMPLETED"),
    Shown([SHIPPED], "COMPLETED", delivery="PENDING"),
    Shown([CREATED, CONFIRMED, PAID, SHIPPED], "COMPLETED", payment="COMPLETED", delivery="PENDING"),
    Shown([CREATED, CONFIRMED, PAID, SHIPPED, IN_TRANSIT], "COMPLETED", "UNSPECIFIED", "", "COMPLETED", "IN_TRANSIT"),
    Shown([SHIPPED, DELIVERED, IN_TRANSIT, OUT_FOR_DELIVERY], "COMPLETED", delivery="DELIVERED"),
    Shown([DELIVERED], "PENDING"),
    Shown([COMPLETED], "PENDING"),
    Shown([REFUSED, ASKED], "COMPLETED"),
    Shown([CREATED, REJECTED], "CANCELLED", "OUT_OF_STOCK", REJECTED.detail),
    Shown([CREATED, CONFIRMED, UNPAID], "COMPENSATING", payment="FAILED"),
    Shown([CREATED, CONFIRMED, UNPAID, RELEASED], "CANCELLED", "INSUFFICIENT_FUNDS", UNPAID.detail, "FAILED"),
    Shown([CREATED, CONFIRMED, PAID, UNSHIPPED], "COMPENSATING", payment="COMPLETED"),
    Shown([CREATED, CONFIRMED, PAID, UNSHIPPED, REFUNDED], "COMPENSATING", payment="REFUNDED"),
    Shown(
        [CREATED, CONFIRMED, PAID, UNSHIPPED, REFUNDED, RELEASED],
        "CANCELLED",
        "SHIPMENT_FAILED",
        "PARCEL_TOO_LARGE",
        "REFUNDED",
    ),
    Shown([CREATED, ASKED, STOPPED], "COMPENSATING"),
    Shown(
        [CREATED, ASKED, STOPPED, RELEASED, REFUNDED_NOTHING],
        "CANCELLED",
        "CANCELLED_BY_CUSTOMER",
        payment="REFUNDED",
    ),
    Shown([CREATED, ASKED, STOPPED, UNPAID, RELEASED], "CANCELLED", "INSUFFICIENT_FUNDS", UNPAID.detail, "FAILED"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(event.DESCRIPTOR.name for event in row.events))
def test_a_set_of_events_shows(row: Shown) -> None:
    shown = document(folded(row.events))
    assert OrderStatus.Name(shown.status) == f"ORDER_STATUS_{row.status}"
    assert Reason.Name(shown.reason) == f"REASON_{row.reason}"
    assert shown.reason_detail == row.detail
    assert pb.PaymentStatus.Name(shown.payment.status) == f"PAYMENT_STATUS_{row.payment}"
    assert DeliveryStatus.Name(shown.delivery.status) == f"DELIVERY_STATUS_{row.delivery}"
    assert shown.seq == len(row.events)


@given_any(st.data(), st.sampled_from(ROWS))
def test_any_order_of_arrival_shows_the_same(data: st.DataObject, row: Shown) -> None:
    arrived = data.draw(st.permutations([*row.events, *data.draw(st.lists(st.sampled_from(row.events)))]))
    assert document(folded(arrived)) == document(folded(row.events))
    assert all_folded(arrived) == all_folded(row.events)
    assert index_rows(folded(arrived)) == index_rows(folded(row.events))


def test_seeing_an_event_again_changes_nothing_even_if_its_time_is_another() -> None:
    entities = {ENTITY: folded([CREATED, CONFIRMED])}
    again = saw(Received(CONFIRMED, "another id", "/sagaproof/inventory", 1))
    assert decide(STATUS, entities, again) == []


def test_a_first_event_is_folded_into_an_entity_of_its_order() -> None:
    assert decide(STATUS, {}, received(PAID)) == [Fold(ENTITY, received(PAID))]


def test_the_document_carries_the_order_and_its_price_once_an_event_has_one() -> None:
    before = document(folded([CREATED]))
    assert (before.order_id, before.user_id, list(before.items)) == (ORDER_ID, ORDER.user_id, list(ORDER.items))
    assert not before.HasField("total")
    for arrived in ([CREATED, CONFIRMED], [CONFIRMED, CREATED]):
        after = document(folded(arrived))
        assert (after.total, list(after.items)) == (TOTAL, list(PRICED.items))
        assert after.delivery.address == ORDER.delivery_address


def test_payment_shows_what_was_charged_and_what_was_given_back() -> None:
    paid = document(folded([PAID])).payment
    assert paid.amount == TOTAL and not paid.HasField("refunded")
    back = document(folded([PAID, REFUNDED])).payment
    assert (back.amount, back.refunded) == (TOTAL, TOTAL)
    nothing = document(folded([REFUNDED_NOTHING])).payment
    assert nothing.refunded == usd(0) and not nothing.HasField("amount")


def test_both_requests_for_cancellation_and_every_step_of_the_delivery_count_as_facts() -> None:
    shown = document(folded([ASKED, TIMED_OUT, IN_TRANSIT, OUT_FOR_DELIVERY, DELIVERED]))
    assert shown.seq == 5
    assert {entry.detail for entry in shown.timeline} == {
        "CANCELLED_BY_CUSTOMER",
        "TIMED_OUT",
        "IN_TRANSIT",
        "OUT_FOR_DELIVERY",
        "DELIVERED",
    }


def test_the_timeline_is_in_the_order_of_time_and_names_services_and_details() -> None:
    early = saw(Received(UNPAID, "1", "/sagaproof/payment", 1_000_002))
    late = saw(Received(CREATED, "2", "/sagaproof/order", 2_000_000))
    state = fold(STATUS, {}, [Fold(ENTITY, late), Fold(ENTITY, early)])[ENTITY]
    assert isinstance(state, StatusState)
    first, second = document(state).timeline
    assert (first.type, first.service, first.detail) == ("PaymentFailed", "payment", "too little")
    assert (first.time.seconds, first.time.nanos) == (1, 2000)
    assert (second.type, second.service) == ("OrderCreated", "order")


def test_status_consumes_every_public_event() -> None:
    assert set(STATUS.consumes) == set(saga.PUBLIC)


@pytest.mark.parametrize(
    "event",
    [NotificationSent(order=PRICED, about="Shipped", text="It is on its way."), StockReplenished(product_id="p")],
    ids=lambda event: event.DESCRIPTOR.name,
)
def test_an_event_that_says_nothing_of_how_an_order_goes_changes_nothing(event: Proto) -> None:
    command = STATUS.consumes[saga.full_name(type(event))][1](Received(event, "id", "/sagaproof/any", 1))
    assert isinstance(command, Heard)
    assert decide(STATUS, {ENTITY: folded([CREATED])}, command) == []


@pytest.mark.parametrize(
    "event",
    [
        ShipmentFailed(order=ORDER, reason=99),  # pyright: ignore[reportArgumentType]
        OrderCancelled(order=ORDER, reason=99),  # pyright: ignore[reportArgumentType]
        DeliveryProgressed(order=ORDER, status=99),  # pyright: ignore[reportArgumentType]
    ],
    ids=lambda event: event.DESCRIPTOR.name,
)
def test_a_value_that_a_later_version_added_is_an_error_of_that_one_record(event: Proto) -> None:
    with pytest.raises(ValueError, match="99"):
        received(event)


def test_an_order_is_found_by_its_user_and_by_its_phase_at_the_time_that_its_id_tells() -> None:
    at = ORDER_ID[:8] + ORDER_ID[9:13]
    by_user = IndexRow("user", ORDER.user_id, at)
    assert list(index_rows(folded([CONFIRMED]))) == [by_user, IndexRow("phase", "OPEN", at)]
    assert list(index_rows(folded([CREATED, SHIPPED]))) == [by_user, IndexRow("phase", "COMPLETED", at)]
    assert list(index_rows(folded([REJECTED]))) == [by_user, IndexRow("phase", "CANCELLED", at)]
    assert list(index_rows(StatusState())) == []


@given_any(st.permutations([("OrderCreated", 5_000), ("InventoryConfirmed", 9_000), ("PaymentCompleted", 12_000)]))
def test_an_order_whose_id_tells_no_time_stands_where_its_first_event_was(arrived: list[tuple[str, int]]) -> None:
    order = shop.order({"product-1": 1}, order_id="0190c0de-0000-5000-8000-000000000001")
    state = StatusState()
    for name, time_us in arrived:
        state = noted(state, Saw(order.order_id, name, order, Seen(time_us=time_us), 0))
    assert state.position == "000000000005"
