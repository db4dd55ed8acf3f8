"""Which phases a plan has."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.load import Spec
from bench.measuring import Load
from bench.run import Plan, growth, loads
from bench.tests.phases import phase


def planned(plan: Plan) -> list[Load]:
    return list(loads(plan, "http://127.0.0.1:8080", ["product-1"], Path("/nowhere")))


def test_a_plan_has_a_closed_loop_an_open_one_and_one_at_a_time() -> None:
    assert [load.kind for load in planned(Plan())] == ["closed", "closed", "open", "alone"]


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (Plan(warm_up=0), ["closed loop", "open loop", "one at a time"]),
        (Plan(warm_up=0, seconds=0), ["open loop", "one at a time"]),
        (Plan(warm_up=0, rate=0), ["closed loop", "one at a time"]),
        (Plan(warm_up=0, alone=0), ["closed loop", "open loop"]),
    ],
)
def test_what_is_0_is_left_out(plan: Plan, names: list[str]) -> None:
    assert [load.name for load in planned(plan)] == names


def test_growth_places_as_many_orders_as_were_asked_for_and_compares_its_ends() -> None:
    plan = Plan(orders=500_000, rate=0, alone=0)
    specs = [load.spec for load in planned(plan)]
    assert [load.name for load in planned(plan)] == ["warm-up", "first 5,000", "growth", "last 5,000"]
    assert sum(spec.orders for spec in specs) == 500_000
    assert specs[1].orders == specs[3].orders == 5_000


def test_growth_is_the_cost_of_the_last_orders_against_the_first() -> None:
    first, last = (phase("closed", 10, 1, cost, name) for cost, name in ((2.0, "first 5,000"), (2.3, "last 5,000")))
    assert growth([first, phase("closed", 10, 1, 9.9, "growth"), last]) == 1.15
    assert growth([phase("closed", 10, 1)]) is None


def test_no_two_generators_write_to_the_same_file_or_begin_at_the_same_order() -> None:
    found = planned(Plan())
    specs = [spec for load in found for spec in (load.spec, load.beside) if spec]
    assert len({spec.out for spec in specs}) == len({spec.first for spec in specs}) == len(specs) == 5
    assert sum(isinstance(spec, Spec) for spec in specs) == 3
