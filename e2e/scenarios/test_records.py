"""What lies on the topics is too much at once, or there twice: every order ends all the same."""

from __future__ import annotations

import pytest

from e2e.scenarios.orders import Draw
from e2e.substrates.substrate import Load, Substrate

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
        fall_behind(shop, load, service, BEHIND)


@pytest.mark.sample(0)
@pytest.mark.needs("pause")
@pytest.mark.own_shop
def test_a_reader_that_is_far_behind_catches_up(shop: Substrate, draw: Draw) -> None:
    service = draw.choice(["notification", "status", "marketing"])
    with shop.load(lambda: draw.order()._replace(watched=False), hurried=True) as load, shop.paused(service):
        fall_behind(shop, load, service, shop.far_behind)


def fall_behind(shop: Substrate, load: Load, service: str, records: int) -> None:
    """Waits until the service, which is paused, has so many records before it: at least one comes of each order."""
    for _ in range(records // 10 * 2):
        if shop.lag(service) >= records:
            return
        load.wait_for(10)
    raise AssertionError(f"{service} is paused, and only {shop.lag(service)} records behind")
