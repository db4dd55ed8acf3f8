"""Every ending of an order; what each leaves in stock and money is for the checks."""

from __future__ import annotations

import pytest

from e2e.scenarios.orders import ENDINGS, FINE, Draw
from e2e.scenarios.ways import CANCELLED, REFUSED
from e2e.substrates.substrate import Ending, Order, Substrate

DEADLINE_S = 30.0


@pytest.mark.parametrize(("order", "ending"), ENDINGS, ids=[ending.reason or ending.status for _, ending in ENDINGS])
def test_an_order_ends_as_its_data_say(shop: Substrate, order: Order, ending: Ending) -> None:
    assert shop.ending(shop.place(order)) == ending


@pytest.mark.needs("pause")
def test_an_order_that_is_cancelled_before_it_is_paid_is_cancelled(shop: Substrate) -> None:
    assert shop.ending(CANCELLED.go(shop)) == CANCELLED.ending


@pytest.mark.needs("pause")
def test_an_order_that_is_cancelled_after_it_was_shipped_is_completed(shop: Substrate) -> None:
    assert shop.ending(REFUSED.go(shop)) == REFUSED.ending


@pytest.mark.sample(0)
@pytest.mark.needs("pause")
def test_an_order_that_nobody_charges_times_out(shop: Substrate) -> None:
    with shop.paused("payment"):
        order_id = shop.place(FINE)
        shop.passes(DEADLINE_S + 1)
    assert shop.ending(order_id) == Ending("CANCELLED", "TIMED_OUT")


def test_customers_of_all_kinds_at_once_are_all_served(shop: Substrate, draw: Draw) -> None:
    with shop.load(draw.order) as load:
        load.wait_for(30)
