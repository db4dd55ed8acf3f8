"""On Kubernetes, every service and the gateway lose one pod after the other under load, and no client sees an error.

The customers are inside the cluster and never try again: whatever is retried, the gateway has retried. How many orders
they placed is in the JUnit file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.history import Accepted
from e2e.judging import judge
from e2e.report import HISTORY
from e2e.substrates import choice

if TYPE_CHECKING:
    from e2e.substrates.deployed import Deployed
    from e2e.substrates.kubernetes import Pods

BACK_WITHIN_S = 240.0
ORDERS = 10
"""Before and after."""
PIECES = 100_000

TEST_WITHIN_S = 900
"""With the start of the shop, the restarts, and the record of some thousand orders."""

pytestmark = [pytest.mark.e2e, pytest.mark.prove, pytest.mark.only_on("kubernetes")]


@pytest.fixture(scope="module")
def pods(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    from e2e.substrates import kubernetes  # noqa: PLC0415  it needs a kubectl

    home: Path = tmp_path_factory.mktemp("kubernetes")
    with kubernetes.running(choice.modes(request.config)[0], home) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(pods: Pods) -> Iterator[Deployed]:
    from e2e.substrates.deployed import Deployed  # noqa: PLC0415

    shop = Deployed(pods)
    shop.restock("product-1", PIECES)
    yield shop
    shop.close()


@pytest.mark.timeout(TEST_WITHIN_S)
def test_a_rolling_restart_of_everything_is_seen_by_no_client(
    request: pytest.FixtureRequest, pods: Pods, deployed: Deployed
) -> None:
    _assert_nobody_sees(lambda: pods.restart_all(BACK_WITHIN_S), pods, deployed, request.node)


@pytest.mark.timeout(TEST_WITHIN_S)
def test_the_eviction_of_every_pod_is_seen_by_no_client(
    request: pytest.FixtureRequest, pods: Pods, deployed: Deployed
) -> None:
    _assert_nobody_sees(lambda: pods.evict_all(BACK_WITHIN_S), pods, deployed, request.node)


def _assert_nobody_sees(what_is_done: Callable[[], None], pods: Pods, shop: Deployed, test: pytest.Item) -> None:
    from e2e.substrates import kubernetes  # noqa: PLC0415
    from e2e.substrates.inside import Customers  # noqa: PLC0415

    began_us = time.time_ns() // 1000
    with Customers(pods.cluster, kubernetes.image("gateway")) as customers:
        customers.wait_for(ORDERS)
        what_is_done()
        customers.wait_for(ORDERS)
    slowest_ms = max(order["ms"] for order in customers.orders)
    took_s = time.time() - began_us / 1e6
    test.user_properties += [("orders", len(customers.orders)), ("seconds", round(took_s)), ("slowest_ms", slowest_ms)]
    assert [order for order in customers.orders if "error" in order] == []
    history = shop.history()
    history.accepted |= {order["id"]: _accepted(order) for order in customers.orders}
    test.stash[HISTORY] = history
    judge(history, None, began_us)


def _accepted(order: dict[str, Any]) -> Accepted:
    return Accepted(order["id"], order["user"], {"product-1": 1}, order["atUs"])
