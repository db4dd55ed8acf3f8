"""The commands against the whole shop: what a newcomer types first has to work."""

import json
import os
import subprocess
import sys
from collections.abc import Generator

import pytest

from e2e.shop import Shop, running
from sagaproof.tests.waiting import until

pytestmark = pytest.mark.e2e
ENDINGS = ("COMPLETED", "OUT_OF_STOCK", "INSUFFICIENT_FUNDS", "SHIPMENT_FAILED", "CANCELLED_BY_CUSTOMER")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    with running(
        tmp_path_factory.mktemp("shop"), OTEL_TRACES_EXPORTER="console", OTEL_BSP_SCHEDULE_DELAY="200"
    ) as shop:
        yield shop


def command(shop: Shop, *arguments: str, within_s: float = 30) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SAGAPROOF_HOME": str(shop.home)}
    environment.pop("SAGAPROOF_URL", None)
    words = [sys.executable, "-m", "sagaproof", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=within_s, check=False, env=environment)


def typed(shop: Shop, *arguments: str, within_s: float = 30) -> str:
    """What a command prints; it has to end well."""
    done = command(shop, *arguments, within_s=within_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("time", ["first", "second"])
def test_the_demo_shows_every_ending_and_a_crash_and_adds_up(time: str, shop: Shop) -> None:
    told = typed(shop, "demo", within_s=60)
    assert all(f"   {'' if ending == 'COMPLETED' else 'CANCELLED '}{ending}" in told for ending in ENDINGS), time
    assert "is dead" in told
    assert "It adds up: 2 orders completed and paid, 4 cancelled without a trace." in told


def test_an_order_is_placed_watched_shown_and_found_in_the_logs(shop: Shop) -> None:
    order_id, *_, outcome = typed(shop, "order", "product-1", "--user", "newcomer").removeprefix("order ").splitlines()
    assert outcome.startswith("COMPLETED")
    assert json.loads(typed(shop, "status", order_id, "--json"))["status"] == "COMPLETED"
    assert typed(shop, "watch", order_id).splitlines()[-1].startswith("COMPLETED")
    services = {line.split()[1] for line in typed(shop, "logs", "--order", order_id).splitlines()}
    assert {"gateway", "order", "inventory", "payment", "shipping"} <= services
    until(lambda: "newcomer" in typed(shop, "marketing", "--top", "500"))


def test_the_trace_of_an_order_shows_every_process_that_had_to_do_with_it(shop: Shop) -> None:
    order_id = typed(shop, "order", "product-1", "--no-watch").strip()

    def services() -> set[str]:
        done = command(shop, "trace", order_id, "--json")
        return {span["service"] for span in json.loads(done.stdout)[0]} if done.returncode == 0 else set()

    until(lambda: services() >= {"gateway", "order", "inventory", "payment", "shipping", "notification", "status"})
    assert typed(shop, "trace", order_id).splitlines()[1].endswith("POST /order")


def test_stock_and_money_can_be_added(shop: Shop) -> None:
    assert typed(shop, "restock", "product-2", "5").startswith("product-2: ")
    assert typed(shop, "deposit", "depositor", "12.34") == "depositor: 1,012.34 USD\n"
    assert "Deluxe Gadget" in typed(shop, "products")
    assert "Deluxe Gadget" in typed(shop, "products", "product-2")


def test_every_process_is_ready_and_says_how_it_is(shop: Shop) -> None:
    rows = json.loads(typed(shop, "health", "--json"))
    assert {row["service"] for row in rows} >= {
        "gateway",
        "kafka",
        "order",
        "inventory",
        "payment",
        "shipping",
        "status",
    }
    assert all(row["ready"] and row["pid"] for row in rows)


def test_any_method_can_be_called(shop: Shop) -> None:
    entity = json.loads(typed(shop, "admin", "inventory", "GetEntity", '{"entity": "stock/product-1"}'))
    assert entity["entity"] == "stock/product-1"
    assert "Rebuild" in typed(shop, "admin", "inventory")
