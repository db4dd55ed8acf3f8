"""On Kubernetes, every service and the gateway are restarted under load, one pod of each after the other."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from e2e.history import Accepted
from e2e.judging import judge
from e2e.substrates import choice

RESTARTED_WITHIN_S = 240.0
ORDERS_BEFORE_AND_AFTER = 10
PIECES = 100_000

pytestmark = [pytest.mark.e2e, pytest.mark.prove, pytest.mark.timeout(600)]


def test_all_services_are_restarted_under_load_and_no_client_sees_an_error(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if "kubernetes" not in choice.substrates(request.config):
        pytest.skip("it needs --substrate kubernetes: elsewhere, replicas are not restarted one after the other")
    from e2e.substrates import kubernetes  # noqa: PLC0415  it needs a kubectl
    from e2e.substrates.deployed import Deployed  # noqa: PLC0415
    from e2e.substrates.inside import Customers  # noqa: PLC0415

    mode = choice.modes(request.config)[0]
    with kubernetes.running(mode, tmp_path) as pods:
        shop = Deployed(pods)
        shop.restock("product-1", PIECES)
        began_us = time.time_ns() // 1000
        with Customers(pods.cluster, kubernetes.image("gateway")) as customers:
            customers.wait_for(ORDERS_BEFORE_AND_AFTER)
            pods.restart_all(RESTARTED_WITHIN_S)
            customers.wait_for(ORDERS_BEFORE_AND_AFTER)
        print(f"{len(customers.orders)} orders, the slowest answer took {max(o['ms'] for o in customers.orders)} ms")
        assert [order for order in customers.orders if "error" in order] == []
        history = shop.history()
        accepted = [Accepted(o["id"], o["user"], {"product-1": 1}, o["atUs"]) for o in customers.orders]
        history.accepted |= {each.order_id: each for each in accepted}
        judge(history, None, began_us)
        shop.close()
