"""A simulated shop without faults, and how far a seed goes."""

import os
import subprocess
import sys

import msgspec
import pytest

from e2e.simulated import run
from e2e.simulated.run import DoesNotEnd, simulate
from e2e.simulated.scenario import Deposit, Order, Restock, Scenario, Stop
from e2e.simulated.tests.shops import MODES, assert_all_ended_as_they_must, endings, one, right
from services.saga import Mode

COMMAND = (sys.executable, "-m", "e2e.simulated", "--histories", "3", "--seed", "5", "--orders", "8")
WITHIN_S = 60


@pytest.mark.parametrize("mode", MODES)
def test_the_same_scenario_and_seed_give_the_same_bytes_and_another_seed_gives_others(mode: Mode) -> None:
    first, again, other = (msgspec.msgpack.encode(simulate(endings(mode), seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_seed_gives_the_same_history_in_every_process() -> None:
    """Sets have another order in each of them."""

    def said(hash_seed: str) -> list[str]:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ended = subprocess.run(COMMAND, capture_output=True, text=True, check=True, timeout=WITHIN_S, env=environment)
        return [line for line in ended.stdout.splitlines() if not line.startswith("a minute")]

    first, second = said("1"), said("2")
    assert first == second
    assert first[-1].startswith("digest")


@pytest.mark.parametrize("mode", MODES)
def test_without_faults_every_order_ends_as_its_data_says(mode: Mode) -> None:
    for seed in range(20):
        assert_all_ended_as_they_must(right(endings(mode), seed))


@pytest.mark.parametrize("mode", MODES)
def test_a_cancellation_is_a_race_which_either_side_wins(mode: Mode) -> None:
    scenario = Scenario(mode=mode, orders=[Order("ann", {"product-1": 1}, cancel_after_ms=10)])
    found = {next(iter(right(scenario, seed).statuses.values())).status for seed in range(40)}
    assert found == {"COMPLETED", "CANCELLED"}


@pytest.mark.parametrize("mode", MODES)
def test_an_order_that_nobody_charges_is_timed_out(mode: Mode) -> None:
    history = right(one(mode, Stop("payment", 0, 40_000)), 1)
    assert [(end.status, end.reason) for end in history.statuses.values()] == [("CANCELLED", "TIMED_OUT")]


def test_orders_compete_for_the_last_piece_and_for_the_last_money() -> None:
    pieces = Scenario(orders=[Order(user, {"product-1": 1}) for user in ("ann", "bob")], stock={"product-1": 1})
    money = Scenario(orders=[Order("ann", {"product-1": 20}) for _ in range(2)])
    for scenario, reason in ((pieces, "OUT_OF_STOCK"), (money, "INSUFFICIENT_FUNDS")):
        first = set[str]()
        for seed in range(20):
            statuses = right(scenario, seed).statuses
            assert sorted(end.reason for end in statuses.values()) == ["", reason]
            first.add(next(order for order, end in statuses.items() if end.reason == ""))
        assert len(first) == 2, "either of them wins with some seed"


def test_what_is_restocked_and_paid_in_can_be_had() -> None:
    scenario = Scenario(
        orders=[Order("ann", {"product-1": 20}, at_ms=5000), Order("ann", {"product-1": 20}, at_ms=5000)],
        stock={"product-1": 30},
        restocks=[Restock("product-1", 10)],
        deposits=[Deposit("ann", 50_000)],
    )
    history = right(scenario, 1)
    assert [end.status for end in history.statuses.values()] == ["COMPLETED", "COMPLETED"]
    assert (history.stock["product-1"].restocked, history.accounts["ann"].deposited) == (10, 50_000)


def test_a_watch_sees_the_states_of_its_order_and_nobody_else_s() -> None:
    watched, other = Order("ann", {"product-1": 1}), Order("bob", {"product-1": 1}, watched=False)
    history = right(Scenario(orders=[watched, other]), 3)
    (order_id,) = {seen.order_id for seen in history.observed}
    assert history.accepted[order_id].user_id == "ann"
    assert history.observed[-1].seq == 8
    assert {seen.status for seen in history.observed} >= {"COMPLETED"}


def test_a_shop_that_does_not_come_to_rest_is_an_error_that_names_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "STEPS_MAX", 5)
    with pytest.raises(DoesNotEnd, match="5 steps with seed 77"):
        simulate(one("choreographed"), 77)
