"""What lies on the topics is too much, there twice, or nonsense: every order ends all the same."""

from __future__ import annotations

import pytest

from e2e.scenarios.orders import COMPLETED, FINE, Draw
from e2e.substrates.poison import EVENTS, KINDS, Kind
from e2e.substrates.substrate import Substrate

BEHIND = 100
"""Records that a participant is behind, of orders that have a deadline."""


@pytest.mark.needs("twice")
def test_every_event_that_is_delivered_twice_is_handled_once(shop: Substrate, draw: Draw) -> None:
    with shop.every_event_twice(), shop.load(draw.order) as load:
        load.wait_for(30)


@pytest.mark.needs("pause")
@pytest.mark.parametrize("service", ["inventory", "payment", "shipping", "notification"])
def test_a_consumer_that_lags_behind_catches_up(shop: Substrate, draw: Draw, service: str) -> None:
    with shop.load(draw.order) as load, shop.paused(service):
        while shop.lag(service) < BEHIND:
            load.wait_for(10)


@pytest.mark.sample(0)
@pytest.mark.needs("pause")
@pytest.mark.own_shop
def test_a_reader_that_is_far_behind_catches_up(shop: Substrate, draw: Draw) -> None:
    service = draw.choice(["notification", "status", "marketing"])
    with shop.load(lambda: draw.order()._replace(watched=False)) as load, shop.paused(service):
        while shop.lag(service) < shop.far_behind:
            load.wait_for(50)


@pytest.mark.sample(2)
@pytest.mark.needs("poison")
@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_record_is_a_dead_letter_of_all_who_need_it_and_holds_nobody_up(
    shop: Substrate, draw: Draw, kind: Kind
) -> None:
    order_id = shop.place(FINE)
    assert shop.ending(order_id) == COMPLETED
    shop.poison(kind, draw.choice(list(EVENTS)), order_id)
    assert shop.ending(shop.place(FINE)) == COMPLETED
