"""What is kept of a real shop when a test has failed, also when a part of it does not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from e2e.checks.facts import Facts
from e2e.history import History
from e2e.report import bundle
from e2e.shop import HEALS_WITHIN_S, Shop
from e2e.waiting import eventually

pytestmark = pytest.mark.e2e


def lines(file: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


def test_of_a_shop_in_which_a_service_stands_still_all_the_rest_is_kept(
    shop: Shop, product: str, tmp_path: Path
) -> None:
    order_id = shop.order((product, 21))
    shop.settled([order_id])
    folder = tmp_path / "bundle"
    payment = eventually("payment lives", lambda: shop.process("payment"), HEALS_WITHIN_S)
    payment.suspend()
    try:
        bundle.keep(folder, "pytest this\n", "it failed\n", None, shop)
    finally:
        payment.resume()
        shop.heal()

    assert (folder / "reproduce.txt").read_text() == "pytest this\n"
    assert (folder / "failure.txt").read_text() == "it failed\n"
    assert {"order.log", "kafka.log", "run.log"} <= {log.name for log in (folder / "logs").iterdir()}
    missing = (folder / "missing.txt").read_text().splitlines()
    assert [line.split(" at ")[0] for line in missing] == ["store of payment"]
    records = lines(folder / "topics" / "payment.jsonl")
    assert any(record["body"]["order"]["orderId"] == order_id for record in records)
    events = [row["type"] for row in lines(folder / "stores" / "order.events.jsonl") if row["key"] == order_id]
    assert events[-1].endswith("OrderCancelled")
    entities = {row["entity"]: row for row in lines(folder / "stores" / "inventory.entities.jsonl")}
    assert entities[f"reservation/{order_id}"]["version"] == 2
    assert not (folder / "stores" / "payment.events.jsonl").exists()
    history = msgspec.json.decode((folder / "history.json").read_bytes(), type=History)
    assert Facts(history).orders[order_id].have("OrderCancelled")
