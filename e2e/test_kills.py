"""The whole shop goes down: its supervisor is killed, or told to stop. Kills of single processes are scenarios."""

from __future__ import annotations

import pytest

from e2e.customers import Customers, assert_adds_up
from e2e.shop import DEFAULT, POSTGRES, START_WITHIN_S, Shop
from e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.variants(DEFAULT, POSTGRES[-1])]


def test_the_supervisor_that_is_killed_takes_all_along_and_the_next_run_goes_on(shop: Shop, product: str) -> None:
    with Customers(shop, product, START_WITHIN_S) as customers:
        customers.wait_for(5)
        shop.kill_supervisor()
        eventually("its children are gone", lambda: all(shop.process(name) is None for name in shop.services), 10)
        shop.start()
        customers.wait_for(5)
    assert_adds_up(shop, product, customers.placed)


def test_ctrl_c_ends_everything_in_order_and_the_data_survives(shop: Shop, product: str) -> None:
    with Customers(shop, product) as customers:
        customers.wait_for(5)
    assert shop.stop() == 0
    shop.start()
    assert_adds_up(shop, product, customers.placed)
