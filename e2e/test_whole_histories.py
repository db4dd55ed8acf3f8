"""All that ever happened to a shop, whatever the tests before did to it, passes every check."""

from __future__ import annotations

import os
import subprocess
import sys
from uuid import uuid4

import msgspec
import pytest

from e2e.checks import check
from e2e.recorder import record
from e2e.report import HISTORY
from e2e.shop import DEFAULT, ENDS_WITHIN_S, VARIANTS, Shop
from services.topics import TOPICS

SHOWN = 20

pytestmark = [pytest.mark.e2e, pytest.mark.variants(*VARIANTS)]


def test_everything_that_happened_to_this_shop_is_right(
    shop: Shop, product: str, request: pytest.FixtureRequest
) -> None:
    shop.heal()
    ours = [shop.order(item) for item in ((product, 1), (product, 21), ("product-3", 1000))]
    shop.settled(ours)
    history = record(shop.addresses(), [topic.name for topic in TOPICS], rest_within_s=ENDS_WITHIN_S)
    request.node.stash[HISTORY] = history
    assert history.accepted.keys() >= set(ours)
    violations = check(history)
    assert not violations, "\n".join(map(str, violations[:SHOWN]))


@pytest.mark.variants(DEFAULT)
def test_an_operator_can_have_all_of_it_checked_and_one_order_explained(shop: Shop, product: str) -> None:
    order_id = shop.order((product, 21))
    shop.settled([order_id])
    checked = sagaproof(shop, "check", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    found = msgspec.json.decode(checked.stdout)
    assert found["violations"] == []
    assert len(found["checks"]) == 9
    explained = sagaproof(shop, "explain", order_id)
    assert explained.returncode == 0, explained.stderr
    story = [
        explained.stdout.index(name)
        for name in ("OrderCreated", "PaymentCompleted", "ShipmentFailed", "OrderCancelled")
    ]
    assert story == sorted(story)


@pytest.mark.variants(DEFAULT)
def test_an_order_that_there_is_not_cannot_be_explained(shop: Shop) -> None:
    unknown = sagaproof(shop, "explain", str(uuid4()))
    assert unknown.returncode == 1
    assert "there is no order" in unknown.stderr


def sagaproof(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sagaproof", *arguments]
    environment = {**os.environ, "SAGAPROOF_HOME": str(shop.home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
