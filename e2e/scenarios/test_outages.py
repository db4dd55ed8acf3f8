"""A service, the broker or the database is away for a while: what was asked meanwhile is done when it is back."""

from __future__ import annotations

import pytest

from e2e.scenarios.orders import Draw
from e2e.scenarios.test_kills import PARTICIPANTS, READERS
from e2e.substrates.substrate import Substrate

DOWN_S = 10.0


@pytest.mark.needs("stop")
@pytest.mark.parametrize("service", [*PARTICIPANTS, *READERS, "orchestrator"])
def test_a_service_that_is_stopped_for_ten_seconds_under_load_catches_up(
    shop: Substrate, draw: Draw, service: str
) -> None:
    with shop.load(draw.order) as load:
        load.wait_for(10)
        with shop.stopped(service):
            shop.passes(DOWN_S)
        load.wait_for(10)


@pytest.mark.needs("broker")
def test_the_broker_that_is_killed_under_load_loses_and_doubles_nothing(shop: Substrate, draw: Draw) -> None:
    with shop.load(draw.order) as load:
        load.wait_for(20)
        shop.kill_broker()
        load.wait_for(20)


@pytest.mark.sample(0)
@pytest.mark.needs("database")
@pytest.mark.parametrize("killed", [False, True], ids=["in-order", "killed"])
def test_the_database_that_is_restarted_under_load_loses_and_doubles_nothing(
    shop: Substrate, draw: Draw, killed: bool
) -> None:
    with shop.load(draw.order) as load:
        load.wait_for(20)
        shop.restart_database(killed=killed)
        load.wait_for(20)


@pytest.mark.needs("replicas")
def test_replicas_that_leave_and_join_under_load_hand_their_work_over(shop: Substrate, draw: Draw) -> None:
    service = draw.choice(PARTICIPANTS)
    with shop.load(draw.order) as load:
        load.wait_for(10)
        with shop.without_replica(service):
            load.wait_for(20)
        load.wait_for(20)
