"""Sagas in figures, from the events and states of committed batches."""

from prometheus_client import REGISTRY
from shop.common.v1.common_pb2 import Reason
from shop.inventory.v1.events_pb2 import InventoryRejected
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted, OrderCreated

from services.engine.store import NewEvent
from services.order.decider import OrderState
from services.order.metrics import on_events
from services.saga import Fact, fact_of, full_name
from services.tests.shop import ORDER

ENTITY = "order/o-1"
ACCEPTED_US = 1_700_000_000_000_000


def stored(cls: type, after_us: int) -> NewEvent:
    return NewEvent(ENTITY, 1, full_name(cls), "i", "c", "orders", "o-1", b"", "", ACCEPTED_US + after_us)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"sagaproof_{name}", labels) or 0.0


def test_an_accepted_and_a_completed_order_are_counted_and_timed() -> None:
    accepted, ended = value("sagas_accepted_total"), value("sagas_ended_total", status="COMPLETED", reason="")
    seconds = value("saga_seconds_sum", status="COMPLETED")
    state = OrderState(accepted_us=ACCEPTED_US, facts={"Shipped": Fact()})
    on_events([stored(OrderCreated, 0), stored(OrderCompleted, 40_000)], {ENTITY: state})
    assert value("sagas_accepted_total") == accepted + 1
    assert value("sagas_ended_total", status="COMPLETED", reason="") == ended + 1
    assert round(value("saga_seconds_sum", status="COMPLETED") - seconds, 6) == 0.04


def test_a_cancelled_order_is_counted_by_its_reason() -> None:
    before = value("sagas_ended_total", status="CANCELLED", reason="OUT_OF_STOCK")
    facts = {"InventoryRejected": fact_of(InventoryRejected(order=ORDER))}
    state = OrderState(accepted_us=ACCEPTED_US, facts=facts)
    assert state.outcome.reason == Reason.Name(Reason.REASON_OUT_OF_STOCK)
    on_events([stored(OrderCancelled, 9)], {ENTITY: state})
    assert value("sagas_ended_total", status="CANCELLED", reason="OUT_OF_STOCK") == before + 1


def test_an_order_of_before_acceptance_was_noted_has_no_duration() -> None:
    before = value("saga_seconds_count", status="COMPLETED")
    on_events([stored(OrderCompleted, 40_000)], {ENTITY: OrderState(facts={"Shipped": Fact()})})
    assert value("saga_seconds_count", status="COMPLETED") == before
