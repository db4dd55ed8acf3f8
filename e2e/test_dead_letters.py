"""An operator's day: an order hangs by a dead letter, which is found, corrected and replayed; a fault is armed by hand.

All by the commands, as they are typed. What is corrected is inventory's: a read model could not be rebuilt from the
topics after a correction, and other tests want to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from e2e.conftest import STOCK
from e2e.shop import HEALS_WITHIN_S, Shop, eventually
from e2e.test_bad_days import event, headers, send
from sagaproof.tests.test_cli_real_shop import command, typed

pytestmark = pytest.mark.e2e

SEEN_WITHIN_S = 20.0


def listed(shop: Shop, order_id: str, status: str = "open") -> dict[str, str]:
    """Service -> id of its dead letter of the order."""
    found: list[dict[str, Any]] = json.loads(typed(shop, "dlq", "list", "--status", status, "--json"))
    return {letter["service"]: letter["id"] for letter in found if letter["orderId"] == order_id}


def completed(shop: Shop, order_id: str) -> bool:
    answer = shop.http.get(f"/status/{order_id}")
    return answer.status_code == 200 and answer.json()["status"] == "COMPLETED"


def test_an_order_that_hangs_by_a_dead_letter_goes_on_when_it_is_corrected_and_replayed(
    shop: Shop, product: str, tmp_path: Path
) -> None:
    order_id = str(uuid4())
    payload = event(product, order_id)
    send(shop, payload[:-2], headers(), order_id)
    expected = {"inventory", "status"}
    letters = eventually(
        "who consumes orders has a dead letter",
        lambda: found if (found := listed(shop, order_id)).keys() >= expected else None,
        SEEN_WITHIN_S,
    )
    assert shop.http.get(f"/status/{order_id}").status_code == 404

    shown = typed(shop, "dlq", "show", "inventory", letters["inventory"])
    assert f"order     {order_id}\n" in shown
    assert f"sagaproof dlq edit inventory {letters['inventory']}" in shown
    refused = command(shop, "dlq", "replay", "inventory", letters["inventory"])
    assert refused.returncode == 1
    assert "it still cannot be decoded" in refused.stderr

    order = {"orderId": order_id, "userId": "poisoner", "items": [{"productId": product, "quantity": 1}]}
    corrected = tmp_path / "payload.json"
    corrected.write_text(json.dumps({"order": order}))
    replay = ("dlq", "replay", "inventory", letters["inventory"], "--json", str(corrected))
    assert "inventory has handled it with the corrected payload" in typed(shop, *replay)
    eventually("the order ends", lambda: completed(shop, order_id), SEEN_WITHIN_S)
    eventually("its piece has left", lambda: shop.products()[product]["reserved"] == 0, SEEN_WITHIN_S)
    assert shop.products()[product]["available"] == STOCK - 1

    assert "it was replayed before" in typed(shop, *replay[:4])
    assert shop.products()[product]["available"] == STOCK - 1

    # Order never accepted this one, so that it is shipped cannot be.
    shipped = eventually("order has a dead letter", lambda: listed(shop, order_id).get("order"), SEEN_WITHIN_S)
    assert "CannotHappen" in typed(shop, "dlq", "show", "order", shipped)
    left = listed(shop, order_id)
    assert "inventory" not in left
    for service, letter_id in left.items():
        assert typed(shop, "dlq", "discard", service, letter_id, "--yes").endswith("discarded\n")
    assert listed(shop, order_id) == {}
    assert listed(shop, order_id, "discarded") == left


def test_a_fault_that_is_armed_by_hand_strikes_once_and_the_order_completes(shop: Shop, product: str) -> None:
    restarts = shop.restarts("inventory")
    armed = typed(shop, "fault", "kill", "inventory", "--at", "after-commit", "--type", "OrderCreated")
    assert armed == "inventory: kill after-commit with OrderCreated, time 1\n"
    assert "after-commit" in typed(shop, "fault", "list")
    assert shop.ended(shop.order((product, 1)))["status"] == "COMPLETED"
    eventually("inventory was killed", lambda: shop.restarts("inventory") == restarts + 1, HEALS_WITHIN_S)
    shop.heal()
    assert typed(shop, "fault", "list") == "no fault is armed\n"
    assert shop.products()[product]["available"] == STOCK - 1


def test_a_fault_that_is_cleared_does_not_strike(shop: Shop, product: str) -> None:
    restarts = shop.restarts("payment")
    typed(shop, "fault", "kill", "payment", "--at", "before-transaction")
    assert "cleared: 1" in typed(shop, "fault", "clear")
    assert shop.ended(shop.order((product, 1)))["status"] == "COMPLETED"
    assert shop.restarts("payment") == restarts
