"""The orchestrator as a table: given what has been seen, when an event comes, then these commands."""

from itertools import permutations

import pytest
from google.protobuf.message import Message as Proto
from google.protobuf.timestamp_pb2 import Timestamp
from shop.common.v1.common_pb2 import OrderStatus, Reason
from shop.inventory.v1.commands_pb2 import CommitReservation, ReleaseInventory, ReserveInventory
from shop.inventory.v1.events_pb2 import InventoryConfirmed, InventoryRejected, InventoryReleased
from shop.orchestrator.v1.events_pb2 import StepTaken
from shop.order.v1.events_pb2 import OrderCancellationRequested, OrderCreated
from shop.payment.v1.commands_pb2 import ChargePayment, RefundPayment
from shop.payment.v1.events_pb2 import PaymentCompleted, PaymentFailed, PaymentRefunded
from shop.shipping.v1.commands_pb2 import ShipOrder, StopShipment
from shop.shipping.v1.events_pb2 import CancellationRefused, ShipmentFailed, Shipped

from services import saga
from services.engine.participant import Effect, Event, Received
from services.orchestrator.decider import Advance, SagaState, describe, participant
from services.tests.given import Entities, decide, fold, given, state_of
from services.tests.shop import ORDER, ORDER_ID, PRICED, usd

ORCHESTRATOR = participant()
ENTITY = f"saga/{ORDER_ID}"
CUSTOMER, TIMED_OUT = Reason.REASON_CANCELLED_BY_CUSTOMER, Reason.REASON_TIMED_OUT

CREATED = OrderCreated(order=ORDER)
CONFIRMED = InventoryConfirmed(order=PRICED)
REJECTED = InventoryRejected(order=ORDER, detail="product-1: 2 wanted, 1 available")
RELEASED = InventoryReleased(order=PRICED)
PAID = PaymentCompleted(order=PRICED, amount=PRICED.total)
UNPAID = PaymentFailed(order=PRICED, detail="too little")
REFUNDED = PaymentRefunded(order=ORDER, amount=usd(0))
SHIPPED = Shipped(order=PRICED, tracking_number="SP-1")
UNSHIPPED = ShipmentFailed(order=PRICED, reason=Reason.REASON_SHIPMENT_FAILED, detail="PARCEL_TOO_LARGE")
STOPPED = ShipmentFailed(order=ORDER, reason=CUSTOMER)
ASKED = OrderCancellationRequested(order=ORDER, reason=CUSTOMER)
OVERDUE = OrderCancellationRequested(order=ORDER, reason=TIMED_OUT)
REFUSED = CancellationRefused(order=PRICED)

CASES: list[tuple[Proto, list[Proto]]] = [
    (CREATED, [ReserveInventory(order=ORDER)]),
    (CONFIRMED, [ChargePayment(order=PRICED)]),
    (PAID, [ShipOrder(order=PRICED)]),
    (SHIPPED, [CommitReservation(order=PRICED)]),
    (UNPAID, [ReleaseInventory(order=PRICED)]),
    (UNSHIPPED, [ReleaseInventory(order=PRICED), RefundPayment(order=PRICED)]),
    (ASKED, [StopShipment(order=ORDER, reason=CUSTOMER)]),
    (OVERDUE, [StopShipment(order=ORDER, reason=TIMED_OUT)]),
    (REJECTED, []),
    (RELEASED, []),
    (REFUNDED, []),
    (REFUSED, []),
]


def heard(event: Proto, time_us: int = 1_700_000_000_123_456) -> Advance:
    """What the event means to the orchestrator."""
    _, translate = ORCHESTRATOR.consumes[saga.full_name(type(event))]
    return translate(Received(event, "id", "/sagaproof/test", time_us))


def after(*events: Proto) -> Entities:
    entities: Entities = {}
    for event in events:
        entities = fold(ORCHESTRATOR, entities, decide(ORCHESTRATOR, entities, heard(event)))
    return entities


def seen(*events: Proto) -> SagaState:
    state = state_of(ORCHESTRATOR, after(*events), ENTITY)
    assert isinstance(state, SagaState)
    return state


def sent(effects: list[Effect]) -> list[Proto]:
    return [e.body for e in effects if isinstance(e, Event) and saga.full_name(type(e.body)) in ORCHESTRATOR.public]


@pytest.mark.parametrize(("event", "commands"), CASES, ids=[event.DESCRIPTOR.name for event, _ in CASES])
def test_an_event_leads_to_its_commands_whatever_was_seen_before(event: Proto, commands: list[Proto]) -> None:
    everything_else = [other for other, _ in CASES if other is not event]
    before: list[Entities] = [{}, after(*everything_else)]
    for entities in before:
        assert sent(decide(ORCHESTRATOR, entities, heard(event))) == commands


def test_there_is_a_case_for_every_event_that_it_consumes_and_every_command_that_it_sends() -> None:
    assert {saga.full_name(type(event)) for event, _ in CASES} == set(ORCHESTRATOR.consumes)
    assert {saga.full_name(type(command)) for _, sent in CASES for command in sent} == set(ORCHESTRATOR.public)


def test_an_event_is_noted_and_then_its_commands_are_sent_all_of_one_saga() -> None:
    time = Timestamp(seconds=1_700_000_000, nanos=123_456_000)
    note = StepTaken(fact="ShipmentFailed", reason=CUSTOMER, time=time)
    given(ORCHESTRATOR).when(heard(STOPPED)).then(
        Event(ENTITY, note),
        Event(ENTITY, ReleaseInventory(order=ORDER)),
        Event(ENTITY, RefundPayment(order=ORDER)),
    )


@pytest.mark.parametrize("event", [event for event, _ in CASES], ids=lambda event: event.DESCRIPTOR.name)
def test_an_event_that_was_seen_before_does_nothing(event: Proto) -> None:
    assert decide(ORCHESTRATOR, after(event), heard(event, time_us=7)) == []


def test_a_second_request_to_stop_with_the_same_reason_is_not_sent_and_one_with_another_is() -> None:
    assert decide(ORCHESTRATOR, after(ASKED, OVERDUE), heard(ASKED)) == []
    assert sent(decide(ORCHESTRATOR, after(ASKED), heard(OVERDUE))) == [StopShipment(order=ORDER, reason=TIMED_OUT)]


@pytest.mark.parametrize(
    "events",
    [
        (CREATED, CONFIRMED, PAID, SHIPPED),
        (CREATED, CONFIRMED, UNPAID, STOPPED, ASKED),
        (CREATED, ASKED, OVERDUE, STOPPED, REFUNDED),
    ],
    ids=["completed", "unpaid and cancelled", "cancelled twice"],
)
def test_the_same_events_lead_to_the_same_commands_in_whatever_order_they_come(events: tuple[Proto, ...]) -> None:
    commands: list[list[bytes]] = []
    for arrived in permutations(events):
        entities: Entities = {}
        said: list[Proto] = []
        for event in arrived:
            effects = decide(ORCHESTRATOR, entities, heard(event))
            entities = fold(ORCHESTRATOR, entities, effects)
            said += sent(effects)
        commands.append(sorted(type(c).__name__.encode() + c.SerializeToString(deterministic=True) for c in said))
        assert seen(*arrived) == seen(*events)
    assert all(sent == commands[0] for sent in commands)


def test_a_saga_is_shown_with_its_steps_their_times_and_their_commands() -> None:
    shown = describe(ORDER_ID, seen(STOPPED, CREATED))
    assert (shown.order_id, shown.status) == (ORDER_ID, OrderStatus.ORDER_STATUS_COMPENSATING)
    assert [(step.event, step.time.ToMicroseconds(), list(step.commands)) for step in shown.steps] == [
        ("OrderCreated", 1_700_000_000_123_456, ["shop.inventory.v1.ReserveInventory"]),
        (
            "ShipmentFailed",
            1_700_000_000_123_456,
            ["shop.inventory.v1.ReleaseInventory", "shop.payment.v1.RefundPayment"],
        ),
    ]


def test_a_saga_that_has_ended_shows_how() -> None:
    shown = describe(ORDER_ID, seen(CREATED, STOPPED, RELEASED, REFUNDED))
    assert (shown.status, shown.reason) == (OrderStatus.ORDER_STATUS_CANCELLED, CUSTOMER)
    shown = describe(ORDER_ID, seen(CREATED, REJECTED))
    assert (shown.status, shown.reason, shown.detail) == (
        OrderStatus.ORDER_STATUS_CANCELLED,
        Reason.REASON_OUT_OF_STOCK,
        REJECTED.detail,
    )
