"""SIGKILL: at each crash point of each service, twice in a row, of two at once, of each process in turn."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from e2e.scenarios.orders import Draw
from e2e.scenarios.ways import POINTS, steps, way_to
from e2e.substrates.substrate import Substrate
from services.engine.faults import Point
from services.saga import SAGA

PARTICIPANTS = tuple(dict.fromkeys(row.participant for row in SAGA))
READERS = ("status", "marketing")


@pytest.mark.sample(3)
@pytest.mark.needs("crash-points", "pause")
@pytest.mark.parametrize(("service", "point"), [(s, p) for p in POINTS for s in (*PARTICIPANTS, "orchestrator")])
def test_a_service_that_is_killed_at_a_crash_point_does_its_work_once(
    shop: Substrate, draw: Draw, service: str, point: Point
) -> None:
    step = draw.choice(steps(service, shop.mode, point))
    way = way_to(step.event)
    with shop.killed_at(service, point, step.message_type):
        order_id = way.go(shop)
    assert shop.ending(order_id) == way.ending


@pytest.mark.needs("crash-points", "pause")
def test_an_order_whose_undoing_is_cut_off_everywhere_is_undone_once(shop: Substrate, draw: Draw) -> None:
    undoing = [service for service in ("inventory", "payment", "orchestrator") if service in shop.services]
    way = way_to("ShipmentFailed")
    with ExitStack() as killed:
        for service in undoing:
            point = draw.choice(POINTS)
            (step,) = (step for step in steps(service, shop.mode, point) if step.event == "ShipmentFailed")
            killed.enter_context(shop.killed_at(service, point, step.message_type))
        order_id = way.go(shop)
    assert shop.ending(order_id) == way.ending


@pytest.mark.needs("kill")
@pytest.mark.parametrize("service", [*PARTICIPANTS, *READERS, "orchestrator"])
def test_a_service_that_is_killed_twice_in_a_row_under_load_loses_and_doubles_nothing(
    shop: Substrate, draw: Draw, service: str
) -> None:
    with shop.load(draw.order) as load:
        load.wait_for(10)
        shop.kill(*shop.replicas(service))
        shop.kill(*shop.replicas(service))
        load.wait_for(10)


@pytest.mark.needs("kill")
def test_two_services_that_are_killed_at_once_under_load_lose_and_double_nothing(shop: Substrate, draw: Draw) -> None:
    first, second = draw.sample(list(shop.services), 2)
    with shop.load(draw.order) as load:
        load.wait_for(10)
        shop.kill(*shop.replicas(first), *shop.replicas(second))
        load.wait_for(10)


@pytest.mark.needs("kill")
def test_every_process_is_killed_in_turn_under_one_load(shop: Substrate, draw: Draw) -> None:
    processes = list(shop.processes)
    draw.shuffle(processes)
    with shop.load(draw.order) as load:
        for process in processes:
            load.wait_for(10)
            shop.kill(process)
        load.wait_for(10)


@pytest.mark.needs("kill", "replicas")
def test_a_replica_that_is_killed_under_load_leaves_its_work_to_the_other(shop: Substrate, draw: Draw) -> None:
    service = draw.choice(list(shop.services))
    with shop.load(draw.order) as load:
        load.wait_for(10)
        shop.kill(draw.choice(list(shop.replicas(service))))
        load.wait_for(10)
