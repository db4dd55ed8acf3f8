"""SIGKILL of any process at any time: after it heals every accepted order has ended, and stock and money add up."""

from __future__ import annotations

from uuid import uuid4

import pytest

from e2e.customers import Customers, assert_adds_up
from e2e.shop import DEFAULT, ORCHESTRATED, POSTGRES, START_WITHIN_S, VARIANTS, Shop, eventually
from sagaproof.settings import GRPC_PORTS

POINTS = ("before-transaction", "after-commit", "amid-publish", "before-mark", "before-offset-commit")

HANDLED = {
    "order": {"": "shop.order.v1.PlaceOrderRequest"},
    "inventory": {"": "shop.order.v1.OrderCreated", "orchestrated": "shop.inventory.v1.ReserveInventory"},
    "payment": {"": "shop.inventory.v1.InventoryConfirmed", "orchestrated": "shop.payment.v1.ChargePayment"},
    "shipping": {"": "shop.payment.v1.PaymentCompleted", "orchestrated": "shop.shipping.v1.ShipOrder"},
    "notification": {"": "shop.shipping.v1.Shipped"},
    "orchestrator": {"": "shop.payment.v1.PaymentCompleted"},
}
"""What a service is killed at: the type of a message that it handles in every mode, or in one."""
PARTICIPANTS = [service for service in HANDLED if service != "orchestrator"]

pytestmark = [pytest.mark.e2e, pytest.mark.variants(*VARIANTS)]


@pytest.mark.prove
@pytest.mark.variants(DEFAULT)
@pytest.mark.parametrize("name", [*(name for name in GRPC_PORTS if name != "orchestrator"), "gateway", "kafka"])
def test_a_process_that_is_killed_under_load_loses_and_doubles_nothing(shop: Shop, product: str, name: str) -> None:
    kill_under_load(shop, product, name)


def test_every_process_is_killed_in_turn_under_one_load(shop: Shop, product: str) -> None:
    kill_under_load(shop, product, *shop.services, "gateway", "kafka")


@pytest.mark.variants(*POSTGRES)
@pytest.mark.parametrize("name", ["postgres", "order-1", "status-1"])
def test_the_database_or_a_replica_that_is_killed_under_load_loses_and_doubles_nothing(
    shop: Shop, product: str, name: str
) -> None:
    kill_under_load(shop, product, name)


def kill_under_load(shop: Shop, product: str, *names: str) -> None:
    with Customers(shop, product) as customers:
        for name in names:
            shop.heal()
            customers.wait_for(10)
            shop.kill(name)
            customers.wait_for(10)
    shop.heal()
    assert_adds_up(shop, product, customers.placed)


@pytest.mark.prove
@pytest.mark.variants(DEFAULT)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("service", PARTICIPANTS)
def test_a_service_that_is_killed_at_a_crash_point_does_its_work_once(
    shop: Shop, product: str, service: str, point: str
) -> None:
    kill_at_point(shop, product, service, point)


@pytest.mark.parametrize(("service", "point"), list(zip(PARTICIPANTS, POINTS, strict=True)))
def test_each_service_is_killed_at_one_point_and_each_point_is_struck_once(
    shop: Shop, product: str, service: str, point: str
) -> None:
    kill_at_point(shop, product, service, point)


@pytest.mark.prove
@pytest.mark.variants(*ORCHESTRATED)
@pytest.mark.parametrize("point", POINTS)
def test_the_orchestrator_that_is_killed_at_a_crash_point_does_its_work_once(
    shop: Shop, product: str, point: str
) -> None:
    kill_at_point(shop, product, "orchestrator", point)


@pytest.mark.variants(ORCHESTRATED[0])
def test_the_orchestrator_that_is_killed_after_its_commit_does_its_work_once(shop: Shop, product: str) -> None:
    kill_at_point(shop, product, "orchestrator", "after-commit")


def kill_at_point(shop: Shop, product: str, service: str, point: str) -> None:
    restarts = shop.restarts(service)
    shop.inject(service, point, HANDLED[service].get(shop.mode, HANDLED[service][""]))
    user = f"user-{uuid4()}"
    order_id = shop.order((product, 1), user=user)
    eventually("the service was killed and restarted", lambda: shop.restarts(service) > restarts, 20)
    document = shop.ended(order_id)
    assert document["status"] == "COMPLETED"
    shop.disarm(service)
    shop.heal()
    assert_adds_up(shop, product, {order_id: user})


def test_a_refund_that_is_cut_off_is_given_once(shop: Shop, product: str) -> None:
    user = f"user-{uuid4()}"
    if shop.mode == "orchestrated":
        shop.inject("orchestrator", "amid-publish", "shop.shipping.v1.ShipmentFailed")
        shop.inject("payment", "after-commit", "shop.payment.v1.RefundPayment")
        shop.inject("inventory", "amid-publish", "shop.inventory.v1.ReleaseInventory")
    else:
        shop.inject("payment", "after-commit", "shop.shipping.v1.ShipmentFailed")
        shop.inject("inventory", "amid-publish", "shop.shipping.v1.ShipmentFailed")
    order_id = shop.order((product, 21), user=user)
    assert shop.ended(order_id)["reason"] == "SHIPMENT_FAILED"
    for service in ("orchestrator", "payment", "inventory"):
        if service in shop.services:
            shop.disarm(service)
    shop.heal()
    assert_adds_up(shop, product, {order_id: user})


@pytest.mark.variants(DEFAULT, POSTGRES[-1])
def test_the_supervisor_that_is_killed_takes_all_along_and_the_next_run_goes_on(shop: Shop, product: str) -> None:
    with Customers(shop, product, START_WITHIN_S) as customers:
        customers.wait_for(5)
        shop.kill_supervisor()
        eventually("its children are gone", lambda: all(shop.process(name) is None for name in shop.services), 10)
        shop.start()
        customers.wait_for(5)
    assert_adds_up(shop, product, customers.placed)


@pytest.mark.variants(DEFAULT, POSTGRES[-1])
def test_ctrl_c_ends_everything_in_order_and_the_data_survives(shop: Shop, product: str) -> None:
    with Customers(shop, product) as customers:
        customers.wait_for(5)
    assert shop.stop() == 0
    shop.start()
    assert_adds_up(shop, product, customers.placed)
