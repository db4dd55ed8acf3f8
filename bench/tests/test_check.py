"""The count finds what is lost and what is doubled."""

from __future__ import annotations

import pytest
from shop.common.v1.common_pb2 import Order as OrderProto
from shop.common.v1.common_pb2 import OrderItem, Reason
from shop.order.v1.events_pb2 import OrderCancelled, OrderCompleted, OrderCreated

from bench.baskets import Basket
from bench.check import counted
from bench.endings import Ledger
from bench.goods import Counted, Stock
from bench.measuring import Order
from bench.results import Check
from services.saga import full_name

ANN, BOB = Basket("ann", "pen"), Basket("bob", "ink")
DRAWN = [ANN, BOB]
BEFORE = Counted({"pen": Stock(100, 10, 0), "ink": Stock(250, 10, 0)}, {"ann": 1000, "bob": 1000})
AFTER = Counted({"pen": Stock(100, 9, 0), "ink": Stock(250, 9, 0)}, {"ann": 900, "bob": 750})


class Run:
    """Two orders, of ann and of bob, as they should go; a test changes something."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.orders: list[Order] = []
        self.after = AFTER

    def accept(self, n: int) -> None:
        self.orders.append(Order(b"order-%d" % n, n, 0.0, 0.0, 0.0, 0.0))

    def tell(self, event: OrderCreated | OrderCompleted | OrderCancelled, n: int, event_id: str = "") -> None:
        basket = DRAWN[n]
        order = OrderProto(user_id=basket.user, items=[OrderItem(product_id=basket.product, quantity=1)])
        event.order.CopyFrom(order)
        name = full_name(type(event))
        headers = {"ce_type": name.encode(), "ce_id": (event_id or f"{name} {n}").encode()}
        self.ledger.take(b"order-%d" % n, headers, event.SerializeToString(), 1_000)

    def check(self) -> Check:
        return counted(self.orders, self.ledger, BEFORE, self.after, DRAWN)


@pytest.fixture
def run() -> Run:
    made = Run()
    for n in range(2):
        made.accept(n)
        made.tell(OrderCreated(), n)
        made.tell(OrderCompleted(), n)
    return made


def test_two_orders_that_went_well_add_up(run: Run) -> None:
    assert run.check() == Check(accepted=2, completed=2, cancelled={}, unanswered=0, repeated_records=0, wrong=[])


def test_an_ending_that_lies_on_the_topic_twice_under_one_id_is_no_second_ending(run: Run) -> None:
    run.tell(OrderCompleted(), 1)
    check = run.check()
    assert (check.wrong, check.repeated_records) == ([], 1)


def test_a_second_ending_is_found(run: Run) -> None:
    run.tell(OrderCancelled(), 1, "another")
    assert run.check().wrong == ["order-1 ended twice, by shop.order.v1.OrderCompleted 1 and another"]


def test_an_accepted_order_that_never_ended_is_found() -> None:
    run = Run()
    run.accept(0)
    run.tell(OrderCreated(), 0)
    run.after = BEFORE
    assert run.check().wrong == ["1 accepted orders have not ended, for example order-0"]


def test_an_order_that_was_never_created_is_found(run: Run) -> None:
    run.accept(7)
    assert run.check().wrong == ["1 accepted orders have not ended, for example order-7"]


def test_a_cancelled_order_takes_nothing_and_is_told_with_its_reason() -> None:
    run = Run()
    run.accept(0)
    run.tell(OrderCreated(), 0)
    run.tell(OrderCancelled(reason=Reason.REASON_TIMED_OUT), 0)
    run.after = BEFORE
    check = run.check()
    assert (check.wrong, check.completed, check.cancelled) == ([], 0, {"TIMED_OUT": 1})


def test_an_order_whose_answer_was_lost_counts_by_what_the_topic_says_of_it(run: Run) -> None:
    run.orders.pop()
    check = run.check()
    assert (check.wrong, check.accepted, check.unanswered) == ([], 1, 1)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (
            Counted({**AFTER.stock, "pen": Stock(100, 8, 0)}, AFTER.balance_minor),
            "pen: 2 pieces are gone, 1 were sold",
        ),
        (Counted({**AFTER.stock, "ink": Stock(250, 9, 1)}, AFTER.balance_minor), "ink: 1 reserved, 0 before"),
        (
            Counted(AFTER.stock, {**AFTER.balance_minor, "bob": 500}),
            "bob: 500 was charged, completed orders cost 250 (minor units)",
        ),
        (
            Counted(AFTER.stock, {**AFTER.balance_minor, "ann": 1000}),
            "ann: 0 was charged, completed orders cost 100 (minor units)",
        ),
    ],
)
def test_stock_or_money_that_does_not_add_up_is_found(run: Run, after: Counted, said: str) -> None:
    run.after = after
    assert run.check().wrong == [said]


def test_of_many_wrong_things_some_are_shown_and_the_rest_is_counted() -> None:
    run = Run()
    run.ledger.contradictions += [f"wrong {n}" for n in range(50)]
    run.after = BEFORE
    wrong = run.check().wrong
    assert (len(wrong), wrong[-1]) == (11, "and 40 more")
