"""Metrics and log levels of a whole shop: every process tells of itself, and what it tells is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from shop.admin.v1 import service_pb2 as admin_pb2

from e2e.shop import Shop, eventually
from sagaproof.settings import HTTP_OFFSET

SERVICES = ("order", "inventory", "payment", "shipping", "notification", "status", "marketing")
WITHIN_S = 30.0

pytestmark = pytest.mark.e2e

Samples = dict[str, list[tuple[dict[str, str], float]]]


def scrape(url: str) -> Samples:
    """Name -> (labels, value), as Prometheus reads them."""
    answer = httpx.get(f"{url}/metrics", timeout=15)
    assert answer.status_code == 200
    families: Any = text_string_to_metric_families(answer.text)
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def of_service(shop: Shop, service: str) -> Samples:
    return scrape(f"http://{shop.address(service, HTTP_OFFSET)}")


def delivered(shop: Shop, order_id: str) -> bool:
    document = shop.status(order_id)
    return bool(document and document["delivery"]["status"] == "DELIVERED")


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(value for given, value in samples.get(name, []) if labels.items() <= given.items())


def test_every_process_tells_what_it_is_and_what_it_costs(shop: Shop) -> None:
    processes = {service: of_service(shop, service) for service in SERVICES} | {"gateway": scrape(shop.url)}
    for name, samples in processes.items():
        [(build, one)] = samples["sagaproof_build_info"]
        assert (build["service"], one) == (name, 1)
        assert total(samples, "process_cpu_seconds_total") > 0
        assert total(samples, "process_resident_memory_bytes") > 10_000_000


def test_orders_are_counted_by_how_they_end_and_timed(shop: Shop, product: str) -> None:
    order, status, gateway = of_service(shop, "order"), of_service(shop, "status"), scrape(shop.url)
    orders = [shop.order((product, 1)) for _ in range(5)]
    orders.append(shop.order(("product-2", 900)))
    shop.settled(orders)

    def more(samples: Callable[[], Samples], before: Samples, name: str, **labels: str) -> float:
        return total(samples(), name, **labels) - total(before, name, **labels)

    def of_order() -> Samples:
        return of_service(shop, "order")

    def one_was_out_of_stock() -> bool:
        labels = {"status": "CANCELLED", "reason": "OUT_OF_STOCK"}
        return more(of_order, order, "sagaproof_sagas_ended_total", **labels) == 1

    eventually("one was out of stock", one_was_out_of_stock, WITHIN_S)
    assert more(of_order, order, "sagaproof_sagas_accepted_total") == 6
    assert more(of_order, order, "sagaproof_sagas_ended_total", status="COMPLETED") == 5
    assert more(of_order, order, "sagaproof_saga_seconds_count", status="COMPLETED") == 5
    assert 0 < more(of_order, order, "sagaproof_saga_seconds_sum", status="COMPLETED") < 5 * WITHIN_S
    assert more(lambda: scrape(shop.url), gateway, "sagaproof_gateway_request_seconds_count", route="/order") >= 6
    calls = "sagaproof_rpcs_total"
    assert more(of_order, order, calls, method="shop.order.v1.OrderService/PlaceOrders", code="OK") >= 1
    rpcs = of_service(shop, "status")
    assert total(rpcs, calls, method="shop.status.v1.StatusService/GetStatus") > total(
        status, calls, method="shop.status.v1.StatusService/GetStatus"
    )
    # Other tests put events of orders on the topics that nobody has ever accepted: those stay open.
    before = total(status, "sagaproof_sagas_open")

    def open_now() -> float:
        return total(of_service(shop, "status"), "sagaproof_sagas_open")

    eventually("no more are open", lambda: open_now() <= before, WITHIN_S)


def test_a_paused_service_lags_and_catches_up(shop: Shop, product: str) -> None:
    def lag() -> float:
        samples = of_service(shop, "payment")
        assert {given["group"] for given, _ in samples["sagaproof_consumer_lag_records"]} == {"payment"}
        return total(samples, "sagaproof_consumer_lag_records")

    eventually("it has caught up", lambda: lag() == 0, WITHIN_S)
    shop.admin("payment").Pause(admin_pb2.PauseRequest(), timeout=15)
    try:
        assert total(of_service(shop, "payment"), "sagaproof_paused") == 1
        order_id = shop.order((product, 1))
        eventually("it lags", lambda: lag() >= 1, WITHIN_S)
    finally:
        shop.admin("payment").Resume(admin_pb2.ResumeRequest(), timeout=15)
    shop.settled([order_id])
    eventually("it has caught up", lambda: lag() == 0, WITHIN_S)
    assert total(of_service(shop, "payment"), "sagaproof_outbox_events") == 0


def test_the_level_of_every_service_is_changed_while_it_runs(shop: Shop, product: str) -> None:
    def set_level(level: str) -> None:
        for service in SERVICES:
            shop.admin(service).SetLogLevel(admin_pb2.SetLogLevelRequest(level=level), timeout=15)

    def logs_that_name(order_id: str) -> set[str]:
        return {log.stem for log in (shop.home / "logs").glob("*.log") if order_id in log.read_text()}

    def lag_of(service: str) -> int:
        return shop.admin(service).GetInfo(admin_pb2.GetInfoRequest(), timeout=15).lag

    set_level("WARNING")
    try:
        quiet = shop.order((product, 1), key=str(uuid4()))
        eventually("it is delivered", lambda: delivered(shop, quiet), 2 * WITHIN_S)
        eventually("all have handled it", lambda: not any(map(lag_of, SERVICES)), 2 * WITHIN_S)
    finally:
        set_level("INFO")
    loud = shop.order((product, 1), key=str(uuid4()))
    shop.settled([loud])
    eventually("all tell of it", lambda: logs_that_name(loud) >= {"gateway", *SERVICES}, WITHIN_S)
    assert logs_that_name(quiet) <= {"gateway"}
