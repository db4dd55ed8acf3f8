"""Shipping as a table: given what has happened, when a command comes, then these events."""

import pytest
from shop.common.v1.common_pb2 import DeliveryStatus, Reason
from shop.shipping.v1 import events_pb2 as events
from shop.shipping.v1.commands_pb2 import ShipOrder, StopShipment

from services.engine.participant import Event, StartTimer, TimerFired
from services.shipping.decider import DELIVERY, Policy, Shipment, participant, tracking_number
from services.tests.given import Cell, Table, given
from services.tests.shop import ORDER, ORDER_ID, PRICED, order, priced

SHIPPING = participant(Policy(delivery_step_s=2.0, parcel_units_max=20))
SHIPMENT = f"shipment/{ORDER_ID}"
TRACKING = tracking_number(ORDER_ID)
PENDING, IN_TRANSIT, OUT_FOR_DELIVERY, DELIVERED = (
    DeliveryStatus.DELIVERY_STATUS_PENDING,
    DeliveryStatus.DELIVERY_STATUS_IN_TRANSIT,
    DeliveryStatus.DELIVERY_STATUS_OUT_FOR_DELIVERY,
    DeliveryStatus.DELIVERY_STATUS_DELIVERED,
)

SHIP = ShipOrder(order=PRICED)
STOP = StopShipment(order=ORDER, reason=Reason.REASON_CANCELLED_BY_CUSTOMER)
STEP = TimerFired(SHIPMENT, DELIVERY)
NEXT_STEP = StartTimer(SHIPMENT, DELIVERY, 2.0)

SHIPPED = Event(SHIPMENT, events.Shipped(order=PRICED, tracking_number=TRACKING))
STOPPED = Event(SHIPMENT, events.ShipmentFailed(order=ORDER, reason=Reason.REASON_CANCELLED_BY_CUSTOMER))
REFUSED = Event(SHIPMENT, events.CancellationRefused(order=PRICED))


def progressed(status: DeliveryStatus) -> Event:
    return Event(SHIPMENT, events.DeliveryProgressed(order=PRICED, status=status, tracking_number=TRACKING))


HISTORIES = {"none": [], "shipped": [SHIPPED], "failed": [STOPPED], "refused": [SHIPPED, REFUSED]}
CELLS = [
    Cell("none", SHIP, [SHIPPED, NEXT_STEP], "shipped"),
    Cell("none", STOP, [STOPPED], "failed"),
    Cell("none", STEP, [], "none"),
    Cell("shipped", SHIP, [], "shipped"),
    Cell("shipped", STOP, [REFUSED], "refused"),
    Cell("shipped", STEP, [progressed(IN_TRANSIT), NEXT_STEP], "shipped"),
    Cell("failed", SHIP, [], "failed"),
    Cell("failed", STOP, [], "failed"),
    Cell("failed", STEP, [], "failed"),
    Cell("refused", SHIP, [], "refused"),
    Cell("refused", STOP, [], "refused"),
    Cell("refused", STEP, [progressed(IN_TRANSIT), NEXT_STEP], "refused"),
]
TABLE = Table(SHIPPING, Shipment, ORDER_ID, HISTORIES)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_shipment_follows_the_table(cell: Cell) -> None:
    TABLE.holds(cell)


def test_the_table_has_every_cell() -> None:
    TABLE.is_complete(CELLS)


def test_a_parcel_of_the_most_units_is_shipped() -> None:
    full = priced(order({"product-1": 12, "product-2": 8}))
    shipped = Event(SHIPMENT, events.Shipped(order=full, tracking_number=TRACKING))
    given(SHIPPING).when(ShipOrder(order=full)).then(shipped, NEXT_STEP)


def test_a_parcel_with_one_unit_more_is_too_large() -> None:
    large = priced(order({"product-1": 13, "product-2": 8}))
    failed = events.ShipmentFailed(order=large, reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE")
    given(SHIPPING).when(ShipOrder(order=large)).then(Event(SHIPMENT, failed))


def test_what_stops_a_shipment_is_its_reason() -> None:
    late = StopShipment(order=ORDER, reason=Reason.REASON_TIMED_OUT)
    failed = events.ShipmentFailed(order=ORDER, reason=Reason.REASON_TIMED_OUT)
    given(SHIPPING).when(late).then(Event(SHIPMENT, failed))


def test_a_delivery_goes_step_by_step_until_it_is_delivered() -> None:
    given(SHIPPING, SHIPPED).when(STEP).then(progressed(IN_TRANSIT), NEXT_STEP)
    under_way = [SHIPPED, progressed(IN_TRANSIT)]
    given(SHIPPING, *under_way).when(STEP).then(progressed(OUT_FOR_DELIVERY), NEXT_STEP)
    under_way.append(progressed(OUT_FOR_DELIVERY))
    given(SHIPPING, *under_way).when(STEP).then(progressed(DELIVERED))
    given(SHIPPING, *under_way, progressed(DELIVERED)).when(STEP).then()


def test_a_refused_cancellation_does_not_set_the_delivery_back() -> None:
    given(SHIPPING, SHIPPED, progressed(IN_TRANSIT), REFUSED).when(STEP).then(progressed(OUT_FOR_DELIVERY), NEXT_STEP)


def test_a_tracking_number_is_the_same_for_the_same_order_and_another_for_another() -> None:
    assert tracking_number(ORDER_ID) == TRACKING
    assert tracking_number(ORDER_ID[:-1] + "2") != TRACKING
    assert TRACKING.startswith("SP-") and len(TRACKING) == 15


def test_a_delivery_that_has_not_begun_is_pending() -> None:
    assert given(SHIPPING).when(SHIP).state(Shipment, ORDER_ID).delivery == DeliveryStatus.Name(PENDING)
