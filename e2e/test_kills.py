"""SIGKILL of any process at any time: after it heals every accepted order has ended, and stock and money add up."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from shop.admin.v1 import service_pb2 as admin

from e2e.conftest import PRICE_MINOR, STOCK
from e2e.shop import Shop, eventually
from sagaproof.settings import GRPC_PORTS

OPENING_MINOR = 100_000
POINTS = ("before-transaction", "after-commit", "amid-publish", "before-mark", "before-offset-commit")

pytestmark = pytest.mark.e2e


class Customers:
    """Places orders of one piece, each by a user of its own, until told to stop."""

    def __init__(self, shop: Shop, product: str) -> None:
        self._shop = shop
        self._product = product
        self._stopping = threading.Event()
        self.placed: dict[str, str] = {}
        self.failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def __enter__(self) -> Customers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                user = f"user-{uuid4()}"
                self.placed[self._shop.order((self._product, 1), user=user)] = user
        except BaseException as error:  # noqa: BLE001 shown by the test that waits for it
            self.failure = error

    def wait_for(self, count: int) -> None:
        """Until so many orders more were accepted."""
        target = len(self.placed) + count
        eventually(f"{count} more orders are accepted", lambda: self.failure or len(self.placed) >= target, 60)


def assert_adds_up(shop: Shop, product: str, placed: dict[str, str]) -> None:
    """Every order has ended, each once, and the product's stock and every user's money say the same."""
    documents = shop.settled(list(placed))
    completed = [document for document in documents if document["status"] == "COMPLETED"]
    assert shop.products()[product]["available"] == STOCK - len(completed)
    for document in documents:
        user = placed[document["orderId"]]
        paid = PRICE_MINOR if document["status"] == "COMPLETED" else 0
        assert shop.balance_minor(user) == OPENING_MINOR - paid, document
    for service in ("order", "inventory", "payment", "shipping", "notification"):
        stub = shop.admin(service)
        assert stub.Rebuild(admin.RebuildRequest(), timeout=30, wait_for_ready=True).different_count == 0, service
        letters = stub.ListDeadLetters(admin.ListDeadLettersRequest(limit=1000), timeout=15).dead_letters
        assert not [letter for letter in letters if letter.key.decode("utf-8", "replace") in placed], service


@pytest.mark.parametrize("name", [*GRPC_PORTS, "gateway", "kafka"])
def test_a_process_that_is_killed_under_load_loses_and_doubles_nothing(shop: Shop, product: str, name: str) -> None:
    with Customers(shop, product) as customers:
        customers.wait_for(10)
        shop.kill(name)
        customers.wait_for(10)
    shop.heal()
    assert_adds_up(shop, product, customers.placed)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(
    ("service", "message_type"),
    [
        ("order", "shop.order.v1.PlaceOrderRequest"),
        ("inventory", "shop.order.v1.OrderCreated"),
        ("payment", "shop.inventory.v1.InventoryConfirmed"),
        ("shipping", "shop.payment.v1.PaymentCompleted"),
        ("notification", "shop.shipping.v1.Shipped"),
    ],
)
def test_a_service_that_is_killed_at_a_crash_point_does_its_work_once(
    shop: Shop, product: str, service: str, message_type: str, point: str
) -> None:
    restarts = shop.restarts(service)
    shop.inject(service, point, message_type)
    user = f"user-{uuid4()}"
    order_id = shop.order((product, 1), user=user)
    eventually("the service was killed and restarted", lambda: shop.restarts(service) > restarts, 20)
    document = shop.ended(order_id)
    assert document["status"] == "COMPLETED"
    shop.heal()
    assert_adds_up(shop, product, {order_id: user})


def test_a_refund_that_is_cut_off_is_given_once(shop: Shop, product: str) -> None:
    user = f"user-{uuid4()}"
    shop.inject("payment", "after-commit", "shop.shipping.v1.ShipmentFailed")
    shop.inject("inventory", "amid-publish", "shop.shipping.v1.ShipmentFailed")
    order_id = shop.order((product, 21), user=user)
    assert shop.ended(order_id)["reason"] == "SHIPMENT_FAILED"
    shop.heal()
    assert_adds_up(shop, product, {order_id: user})


def test_the_supervisor_that_is_killed_takes_all_along_and_the_next_run_goes_on(shop: Shop, product: str) -> None:
    with Customers(shop, product) as customers:
        customers.wait_for(5)
        shop.kill_supervisor()
        eventually("its children are gone", lambda: all(shop.process(name) is None for name in GRPC_PORTS), 10)
        shop.start()
        customers.wait_for(5)
    assert_adds_up(shop, product, customers.placed)


def test_ctrl_c_ends_everything_in_order_and_the_data_survives(shop: Shop, product: str) -> None:
    with Customers(shop, product) as customers:
        customers.wait_for(5)
    assert shop.stop() == 0
    shop.start()
    assert_adds_up(shop, product, customers.placed)
