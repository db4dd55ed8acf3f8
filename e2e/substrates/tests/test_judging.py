"""What scenarios end with finds what is wrong: a violation of a check, and an order that was slow to recover."""

from __future__ import annotations

import pytest

from e2e.history import FaultSpan, History
from e2e.judging import judge, took
from e2e.substrates.simulated import Simulated
from e2e.substrates.substrate import Order

SECOND_US = 1_000_000


def history_of_one_order(held_up_s: float) -> tuple[History, str]:
    """It waits for so long for its payment, which is noted as a pause."""
    shop = Simulated("choreographed", 1)
    with shop.paused("payment"):
        order_id = shop.place(Order({"product-1": 1}))
        shop.passes(held_up_s)
    return shop.history(), order_id


def test_time_in_which_something_was_broken_does_not_count() -> None:
    history, _ = history_of_one_order(20)
    judge(history, 15, 0)
    assert took(history, 0)[0].whole_us < SECOND_US


def test_an_order_that_is_slow_with_nothing_broken_is_found_and_shown() -> None:
    history, order_id = history_of_one_order(20)
    history.faults = []
    with pytest.raises(AssertionError, match=rf"order {order_id} took 20\.\d s with nothing broken") as failed:
        judge(history, 15, 0)
    assert "InventoryConfirmed" in str(failed.value), "its timeline"


def test_where_time_is_not_real_orders_may_take_long() -> None:
    history, _ = history_of_one_order(20)
    history.faults = []
    judge(history, None, 0)


def test_orders_from_before_the_scenario_are_not_counted() -> None:
    history, _ = history_of_one_order(20)
    history.faults = []
    judge(history, 15, history.ended_us)


def test_faults_at_the_same_time_count_once() -> None:
    history, order_id = history_of_one_order(20)
    (pause,) = history.faults
    middle_us = (pause.from_us + pause.to_us) // 2
    first = FaultSpan("kill", "order", pause.from_us, middle_us)
    inside = FaultSpan("kill", "payment", pause.from_us + SECOND_US, middle_us - SECOND_US)
    history.faults = [inside, first]
    (found,) = took(history, 0)
    assert found.order_id == order_id
    assert 10 * SECOND_US <= found.whole_us < 11 * SECOND_US


def test_a_violation_is_told_with_the_orders_timeline() -> None:
    history, order_id = history_of_one_order(0)
    lost = next(event for event in history.stored if event.type == "shop.payment.v1.PaymentCompleted")
    history.stored.remove(lost)
    with pytest.raises(AssertionError, match="published: order") as failed:
        judge(history, None, 0)
    assert f"order {order_id}: COMPLETED" in str(failed.value)
