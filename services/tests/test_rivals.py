"""Two orders at once, under every interleaving: over the last piece of a product, and over one account."""

from collections import Counter

import pytest
from shop.common.v1.common_pb2 import OrderItem
from shop.order.v1.service_pb2 import PlaceOrderRequest

from services.catalogue import Catalogue, Product
from services.inventory import decider as inventory
from services.order import decider as order
from services.payment import decider as payment
from services.saga import NO_REASON
from services.tests.explorer import Local, Saga, World
from services.tests.shop import ORDER_ID, PARTICIPANTS, USER_ID
from services.topics import ORCHESTRATED

LAST_PIECE: Catalogue = {"p": Product("p", "The last one", 40_000, "USD", stock=1)}
ONE_ACCOUNT: Catalogue = {"p": Product("p", "Dear", 60_000, "USD", stock=5)}
OTHER_ID = ORDER_ID[:-1] + "2"
pytestmark = pytest.mark.no_cover  # it would take twice as long, and the tables of the deciders cover them

EVERY_RIVALRY = pytest.mark.parametrize(
    ("catalogue", "loser"),
    [(LAST_PIECE, "REASON_OUT_OF_STOCK"), (ONE_ACCOUNT, "REASON_INSUFFICIENT_FUNDS")],
    ids=["the last piece", "one account"],
)


def rivals(catalogue: Catalogue, *, cancel: bool = False) -> Saga:
    participants = [
        order.participant(order.Policy(), catalogue),
        inventory.participant(catalogue),
        *(PARTICIPANTS[name] for name in ORCHESTRATED if name != "inventory"),
    ]
    requests = [
        PlaceOrderRequest(order_id=order_id, user_id=USER_ID, items=[OrderItem(product_id="p", quantity=1)])
        for order_id in (ORDER_ID, OTHER_ID)
    ]

    def check(_: Local, after: Local) -> None:
        check_stock(catalogue["p"], after)
        check_money(after)

    return Saga(participants, requests, check, cancel=cancel)


def check_stock(product: Product, local: Local) -> None:
    held = Counter(state.status for state in local.entities.values() if isinstance(state, inventory.Reservation))
    for stock in local.entities.values():
        if isinstance(stock, inventory.Stock):
            assert stock.available + stock.reserved == product.stock - held["committed"]
            assert (stock.reserved, stock.available >= 0) == (held["reserved"], True)


def check_money(local: Local) -> None:
    charges = [state for state in local.entities.values() if isinstance(state, payment.Charge)]
    charged = sum(charge.amount_minor for charge in charges if charge.status == "charged")
    for account in local.entities.values():
        if isinstance(account, payment.Account):
            assert account.balance_minor == payment.Opening().balance_minor - charged >= 0


def endings(explored: Saga, world: World) -> list[str]:
    """COMPLETED, or why it was cancelled, for each of the two; asserts that each was said once and nothing is held."""
    local = explored.local(world, "order")
    said = [explored.events.bodies[n].DESCRIPTOR.name for n in local.said]
    assert said.count("OrderCompleted") + said.count("OrderCancelled") == 2
    stock = explored.local(world, "inventory").entities["stock/p"]
    assert isinstance(stock, inventory.Stock) and stock.reserved == 0
    outcomes = [state.outcome for state in local.entities.values() if isinstance(state, order.OrderState)]
    assert all(outcome.ended for outcome in outcomes)
    return sorted(outcome.reason if outcome.reason != NO_REASON else "COMPLETED" for outcome in outcomes)


@EVERY_RIVALRY
def test_of_two_rivals_just_one_gets_it(catalogue: Catalogue, loser: str) -> None:
    both = rivals(catalogue)
    explored = both.explore()
    assert explored.worlds > 100
    assert all(endings(both, world) == ["COMPLETED", loser] for world in explored.ends)
    print(f"{explored.worlds} worlds, {len(explored.ends)} ends")


@EVERY_RIVALRY
def test_of_two_rivals_who_may_cancel_at_most_one_gets_it_and_nothing_is_lost(catalogue: Catalogue, loser: str) -> None:
    both = rivals(catalogue, cancel=True)
    explored = both.explore()
    assert explored.worlds > 10_000
    seen = {tuple(endings(both, world)) for world in explored.ends}
    cancelled = "REASON_CANCELLED_BY_CUSTOMER"
    assert ("COMPLETED", loser) in seen
    assert (cancelled, cancelled) in seen
    assert ("COMPLETED", "COMPLETED") not in seen
    print(f"{explored.worlds} worlds, {len(explored.ends)} ends")
