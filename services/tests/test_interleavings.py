"""One order under every interleaving across topics: it ends once, in one way, and stock and money add up.

In both modes of the saga, and while the mode is switched at any point, as often as one likes.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest
from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import OrderStatus
from shop.payment.v1.commands_pb2 import RefundPayment
from shop.payment.v1.events_pb2 import AccountCredited, AccountDebited
from shop.shipping.v1.events_pb2 import ShipmentFailed

from services import saga
from services.engine.participant import State
from services.inventory.decider import Reservation, Stock
from services.notification.decider import TEXTS, Told
from services.order.decider import OrderState
from services.payment.decider import Account, Charge, Opening
from services.saga import Outcome
from services.shipping.decider import Shipment
from services.status.documents import document
from services.status.fold import Saw, StatusState
from services.tests.explorer import Explored, Local, Saga, World
from services.tests.given import decide, fold, state_of
from services.tests.scenarios import (
    BY_CUSTOMER,
    COORDINATIONS,
    OUT_OF_STOCK,
    SCENARIOS,
    TIMED_OUT,
    TOO_LARGE,
    Coordination,
    Ending,
    Scenario,
    saga_of,
)
from services.tests.shop import CATALOGUE, ORDER_ID, PARTICIPANTS, USER_ID

pytestmark = pytest.mark.no_cover  # it would take twice as long, and the tables of the deciders cover them

EVERY_SCENARIO = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
EVERY_COORDINATION = pytest.mark.parametrize("how", COORDINATIONS.values(), ids=COORDINATIONS)
CHOREOGRAPHED, ORCHESTRATED = COORDINATIONS["choreographed"], COORDINATIONS["orchestrated"]


def checked(pieces: Mapping[str, int], how: Coordination = CHOREOGRAPHED, **disturbances: Any) -> Saga:
    return saga_of(pieces, **how._asdict(), **disturbances, check=check_step)


def endings_of(scenario: Scenario, how: Coordination, *stopped: Ending) -> set[Ending]:
    """How the scenario may end when somebody asks to stop."""
    if how is ORCHESTRATED and scenario.ending == OUT_OF_STOCK:
        # The release is sent on the same topic as the reservation, and after it: nothing can be void here.
        return {OUT_OF_STOCK}
    return {scenario.ending, *stopped}


# What holds in every world


def check_step(before: Local, after: Local) -> None:
    check_stock(after)
    check_money(after)
    order, then = (state(local, OrderState, f"order/{ORDER_ID}") for local in (before, after))
    check_not_back(order.outcome, then.outcome)


def check_stock(local: Local) -> None:
    reservation = state(local, Reservation, f"reservation/{ORDER_ID}")
    pieces = {item.product_id: item.quantity for item in reservation.items}
    for entity, stock in local.entities.items():
        if isinstance(stock, Stock):
            product_id = entity.partition("/")[2]
            mine = pieces.get(product_id, 0)
            committed = mine if reservation.status == "committed" else 0
            assert stock.available + stock.reserved == CATALOGUE[product_id].stock - committed
            assert stock.available >= 0
            assert stock.reserved == (mine if reservation.status == "reserved" else 0)


def check_money(local: Local) -> None:
    charge = state(local, Charge, f"charge/{ORDER_ID}")
    account = state(local, Account, f"account/{USER_ID}")
    if account.opened:
        net = charge.amount_minor if charge.status == "charged" else 0
        assert account.balance_minor == Opening().balance_minor - net >= 0


def check_not_back(before: Outcome, after: Outcome) -> None:
    if before.ended:
        assert after == before
    else:
        assert after.status >= before.status
        assert after.ended or after.reason == saga.NO_REASON


def state(local: Local, kind: type[Any], entity: str) -> Any:
    return local.entities.get(entity, kind())


def check_world(explored_saga: Saga, world: World) -> None:
    """An ending is said when it is true: cancelled, when all is given back; completed, when it has shipped."""
    said = said_by_order(explored_saga, world)
    if said & {"OrderCancelled", "OrderCompleted"}:
        status = {
            name: state(explored_saga.local(world, name), kind, f"{kind.kind}/{ORDER_ID}").status
            for name, kind in (("inventory", Reservation), ("payment", Charge), ("shipping", Shipment))
        }
        if "OrderCancelled" in said:
            assert status["inventory"] in ("rejected", "released", "void")
            assert status["payment"] in ("none", "failed", "refunded", "void")
            assert status["shipping"] in ("none", "failed")
        else:
            assert status["inventory"] in ("reserved", "committed")
            assert (status["payment"], status["shipping"] in ("shipped", "refused")) == ("charged", True)


# What holds where nothing can happen any more


def check_end(explored_saga: Saga, world: World) -> Ending:
    """The order's only ending; asserts that everybody's books agree with it."""
    locals_ = zip(explored_saga.machines, world.locals, strict=True)
    said = [explored_saga.events.bodies[n] for machine, local in locals_ for n in machine.locals[local].said]
    count = Counter(body.DESCRIPTOR.name for body in said)
    endings = [body for body in said if body.DESCRIPTOR.name in ("OrderCompleted", "OrderCancelled")]
    assert len(endings) == 1
    debited = sum(body.amount.amount_minor for body in said if isinstance(body, AccountDebited))
    credited = sum(body.amount.amount_minor for body in said if isinstance(body, AccountCredited))
    reservation = explored_saga.local(world, "inventory").entities[f"reservation/{ORDER_ID}"]
    assert reservation != Reservation("reserved")
    outcome = state(explored_saga.local(world, "order"), OrderState, f"order/{ORDER_ID}").outcome
    assert outcome.ended
    if outcome.status == OrderStatus.ORDER_STATUS_COMPLETED:
        assert count["OrderCompleted"] == count["Shipped"] == count["StockCommitted"] == count["PaymentCompleted"] == 1
        assert not count.keys() & {"ShipmentFailed", "PaymentRefunded", "InventoryReleased", "PaymentFailed"}
        assert debited > credited == 0
    else:
        assert not count.keys() & {"Shipped", "StockCommitted", "CancellationRefused"}
        assert max(count["InventoryReleased"], count["PaymentRefunded"], count["ShipmentFailed"]) <= 1
        assert debited == credited
    assert all(not explored_saga.local(world, name).timers for name in ("order", "shipping"))
    cancelled: Any = endings[0]
    if outcome.status == OrderStatus.ORDER_STATUS_CANCELLED:
        ending = Outcome(outcome.status, *(getattr(saga.fact_of(cancelled), part) for part in ("reason", "detail")))
        assert ending == outcome
    return (
        OrderStatus.Name(outcome.status).removeprefix("ORDER_STATUS_"),
        outcome.reason.removeprefix("REASON_"),
        outcome.detail,
    )


def check_notifications(explored_saga: Saga, world: World) -> None:
    """Each step that was published was told once."""
    if all(machine.participant.name != "notification" for machine in explored_saga.machines):
        return
    published = {explored_saga.events.bodies[n].DESCRIPTOR.name for log in world.logs for n in log}
    told = explored_saga.local(world, "notification")
    assert set(state(told, Told, f"told/{ORDER_ID}").texts) == published & TEXTS.keys()
    assert len(told.said) == len(set(told.said)) == len(published & TEXTS.keys())


def explore(explored_saga: Saga) -> tuple[Explored, set[Ending]]:
    explored = explored_saga.explore(lambda world: check_world(explored_saga, world))
    for world in explored.ends:
        check_notifications(explored_saga, world)
    return explored, {check_end(explored_saga, world) for world in explored.ends}


# The scenarios


@EVERY_COORDINATION
@EVERY_SCENARIO
def test_an_undisturbed_order_ends_in_its_one_way(scenario: Scenario, how: Coordination) -> None:
    _, endings = explore(checked(scenario.pieces, how))
    assert endings == {scenario.ending}


@EVERY_COORDINATION
@EVERY_SCENARIO
def test_an_order_that_is_cancelled_at_any_point_ends_as_it_would_or_cancelled(
    scenario: Scenario, how: Coordination
) -> None:
    _, endings = explore(checked(scenario.pieces, how, cancel=True))
    assert endings == endings_of(scenario, how, BY_CUSTOMER)


@EVERY_COORDINATION
@EVERY_SCENARIO
def test_an_order_whose_deadline_comes_at_any_point_ends_as_it_would_or_timed_out(
    scenario: Scenario, how: Coordination
) -> None:
    _, endings = explore(checked(scenario.pieces, how, deadline=True))
    assert endings == endings_of(scenario, how, TIMED_OUT)


@EVERY_COORDINATION
@EVERY_SCENARIO
def test_an_order_with_both_at_any_point_still_ends_in_one_way(scenario: Scenario, how: Coordination) -> None:
    explored, endings = explore(checked(scenario.pieces, how, cancel=True, deadline=True))
    assert endings == endings_of(scenario, how, BY_CUSTOMER, TIMED_OUT)
    # Several times as many where both paths are open.
    worlds_min = scenario.worlds_min * (5 if len(how.modes) > 1 else 1)
    assert explored.worlds >= worlds_min, "the exploration saw too little to prove anything"
    print(f"{explored.worlds} worlds, {len(explored.ends)} ends")


WAY = {type(body) for body in saga_of(SCENARIOS["completed"].pieces).one_way()}
FORWARD = [row for row in saga.ORCHESTRATED_ROWS if row.event in WAY and WAY.intersection(row.answers)]
"""The rows that lead an order to its completion."""
LOST = [
    *((CHOREOGRAPHED, row.participant, row.event) for row in FORWARD),
    *((ORCHESTRATED, "orchestrator", row.event) for row in FORWARD),
    *((ORCHESTRATED, row.participant, row.command) for row in FORWARD),
]


@pytest.mark.parametrize("lost", LOST, ids=lambda lost: f"{lost[2].DESCRIPTOR.name} to {lost[1]}")
def test_an_order_whose_message_is_lost_is_ended_by_its_deadline(lost: tuple[Coordination, str, type[Proto]]) -> None:
    how, *message = lost
    _, endings = explore(checked({"product-1": 2}, how, deaf={tuple(message)}))
    assert endings == {TIMED_OUT}


@pytest.mark.parametrize("mode", ["choreographed", "orchestrated"])
def test_an_order_whose_undo_is_lost_on_one_path_hears_of_it_on_the_other(mode: str) -> None:
    """The model would see a switch that loses a message: without the other path, such an order never ends."""
    lost = {"choreographed": ("payment", ShipmentFailed), "orchestrated": ("payment", RefundPayment)}[mode]
    alone = checked({"product-1": 21}, COORDINATIONS[mode], deaf={lost})
    with pytest.raises(AssertionError):
        explore(alone)
    switched = checked({"product-1": 21}, COORDINATIONS["switched at will"], deaf={lost})
    ended = [world for world in switched.explore().ends if "OrderCancelled" in said_by_order(switched, world)]
    assert {check_end(switched, world) for world in ended} == {TOO_LARGE}


def said_by_order(explored_saga: Saga, world: World) -> set[str]:
    return {explored_saga.events.bodies[n].DESCRIPTOR.name for n in explored_saga.local(world, "order").said}


# The read model: one document for a set of events, in whatever order they come


class Arrivals:
    """The status of every set of events that is part of a history; each set once."""

    def __init__(self, explored_saga: Saga) -> None:
        self._events = explored_saga.events
        self._status = PARTICIPANTS["status"]
        self._entity = f"status/{ORDER_ID}"
        self.known: dict[frozenset[int], StatusState] = {frozenset(): StatusState()}

    def add(self, history: frozenset[int]) -> None:
        """Adds every part of the history; asserts that whichever event comes last, the state is the same."""
        ordered = sorted(history)
        for chosen in range(1, 2 ** len(ordered)):
            part = frozenset(n for i, n in enumerate(ordered) if chosen >> i & 1)
            if part not in self.known:
                states = [self._step(self.known[part - {last}], last) for last in part]
                assert all(state == states[0] and document(state) == document(states[0]) for state in states)
                self.known[part] = states[0]
                assert all(self._step(states[0], again) == states[0] for again in part)

    def _step(self, before: StatusState, event: int) -> StatusState:
        received = self._events.received(event)
        command: Saw = self._status.consumes[saga.full_name(type(received.body))][1](received)
        entities = {self._entity: before}
        after = state_of(
            self._status, fold(self._status, entities, decide(self._status, entities, command)), self._entity
        )
        assert isinstance(after, StatusState)
        check_not_back(before.outcome, after.outcome)
        return after


@EVERY_SCENARIO
def test_a_watched_status_never_goes_back_and_ends_the_same_for_every_order_of_arrival(scenario: Scenario) -> None:
    disturbed = checked(scenario.pieces, cancel=True, deadline=True)
    explored = disturbed.explore()
    arrivals = Arrivals(disturbed)
    for world in explored.ends:
        history = [n for log in world.logs for n in log]
        assert len(history) == len(set(history))
        arrivals.add(frozenset(history))
        shown = arrivals.known[frozenset(history)].outcome
        assert shown == state(disturbed.local(world, "order"), OrderState, f"order/{ORDER_ID}").outcome
    assert len(arrivals.known) > 2 * len(explored.ends)
    print(f"{len(arrivals.known)} sets of events")


def test_notifications_are_the_same_for_every_order_of_arrival() -> None:
    notification = PARTICIPANTS["notification"]
    told: list[State] = []
    complete = checked({"product-1": 1})
    (world,) = complete.explore().ends
    heard = [complete.events.received(n) for log in world.logs for n in log]
    heard = [received for received in heard if saga.full_name(type(received.body)) in notification.consumes]
    for arrived in permutations(heard):
        entities = fold(notification, {}, [])
        for received in arrived:
            command = notification.consumes[saga.full_name(type(received.body))][1](received)
            entities = fold(notification, entities, decide(notification, entities, command))
        told.append(entities[f"told/{ORDER_ID}"])
    assert all(state == told[0] for state in told)
