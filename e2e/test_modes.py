"""The mode of a shop is switched while orders are open: each ends once, and stock and money add up.

This shop is not the one of the other tests: its orders get more time than a switch takes, so that none ends by its
deadline, and what is expected of each can be said.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from shop.admin.v1 import service_pb2 as admin
from shop.common.v1.common_pb2 import Order, OrderItem
from shop.inventory.v1.commands_pb2 import ReserveInventory

from e2e.conftest import STOCK, write_catalogue
from e2e.customers import Customers, assert_adds_up
from e2e.shop import DEFAULT, START_WITHIN_S, VARIANTS, Shop, eventually, running
from services.saga import Mode

PARCEL_UNITS_MAX = 20
OTHER: dict[Mode, Mode] = {"choreographed": "orchestrated", "orchestrated": "choreographed"}

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("switched")
    with running(
        home,
        VARIANTS[DEFAULT],
        CATALOGUE=str(write_catalogue(home)),
        DELIVERY_STEP_S="0.3",
        ORDER_DEADLINE_S="300",
    ) as shop:
        yield shop


class Held:
    """Orders that are held up at every step of the saga, by pausing who is next: one that will go through, one that
    will be refused by shipping, and one that its customer has cancelled."""

    def __init__(self, shop: Shop, product: str) -> None:
        self.users: dict[str, str] = {}
        self.plain: list[str] = []
        self.too_large: list[str] = []
        self.cancelled: list[str] = []
        self._shop = shop
        self._product = product
        for service, status in (
            ("shipping", "AWAITING_SHIPMENT"),
            ("payment", "AWAITING_PAYMENT"),
            ("inventory", "PENDING"),
            ("orchestrator", "PENDING"),
        ):
            if service in shop.services:
                shop.admin(service).Pause(admin.PauseRequest(), timeout=15)
                self._hold(status)

    def _hold(self, status: str) -> None:
        plain, too_large, cancelled = (self._order(n) for n in (1, PARCEL_UNITS_MAX + 1, 1))
        for order_id in (plain, too_large, cancelled):
            eventually(f"{order_id} is {status}", lambda o=order_id: self._status(o) == status, 30)
        assert self._shop.http.post(f"/order/{cancelled}/cancel").status_code == 202
        self.plain.append(plain)
        self.too_large.append(too_large)
        self.cancelled.append(cancelled)

    def _order(self, pieces: int) -> str:
        user = f"user-{uuid4()}"
        order_id = self._shop.order((self._product, pieces), user=user)
        self.users[order_id] = user
        return order_id

    def _status(self, order_id: str) -> str:
        return (self._shop.status(order_id) or {}).get("status", "")

    def assert_ended(self) -> None:
        """Each as it must, and all together."""
        assert_adds_up(self._shop, self._product, self.users)
        for order_id in self.plain:
            assert self._shop.ended(order_id)["status"] == "COMPLETED"
        for order_id in self.too_large:
            assert self._shop.ended(order_id)["reason"] == "SHIPMENT_FAILED"
        for order_id in self.cancelled:  # a race with shipping, where shipping was held up
            document = self._shop.ended(order_id)
            assert document["status"] == "COMPLETED" or document["reason"] == "CANCELLED_BY_CUSTOMER"


@pytest.mark.parametrize("mode", ["orchestrated", "choreographed"])
def test_orders_that_are_open_at_every_step_end_in_the_mode_that_is_switched_to(
    switched: Shop, product: str, mode: Mode
) -> None:
    if switched.mode == mode:
        switched.switch(OTHER[mode])
    held = Held(switched, product)
    switched.switch(mode)
    held.assert_ended()
    assert switched.admin("payment").GetInfo(admin.GetInfoRequest(), timeout=15).saga_mode == mode


def test_customers_who_order_while_the_mode_is_switched_lose_nothing(switched: Shop, product: str) -> None:
    with Customers(switched, product, START_WITHIN_S) as customers:
        customers.wait_for(10)
        switched.switch(OTHER[switched.mode])
        customers.wait_for(10)
    assert_adds_up(switched, product, customers.placed)


def test_a_dead_letter_of_one_path_can_be_replayed_on_the_other(switched: Shop, product: str) -> None:
    if switched.mode != "orchestrated":
        switched.switch("orchestrated")
    order = Order(order_id=str(uuid4()), user_id="poisoner", items=[OrderItem(product_id=product, quantity=1)])
    command = ReserveInventory(order=order).SerializeToString()
    send_command(switched, command[:-2])
    letter = eventually("inventory has a dead letter", lambda: dead_letters(switched), 15)[0]
    assert letter.topic == "inventory.commands"
    switched.switch("choreographed")
    replay = admin.ReplayDeadLetterRequest(id=letter.id, payload=command)
    switched.admin("inventory").ReplayDeadLetter(replay, timeout=15, wait_for_ready=True)
    assert switched.products()[product]["available"] == STOCK - 1


def send_command(shop: Shop, value: bytes) -> None:
    """Puts a record on inventory's topic of commands, as the orchestrator does."""
    headers: dict[str, str | bytes | None] = {
        "ce_id": str(uuid4()).encode(),
        "ce_type": b"shop.inventory.v1.ReserveInventory",
        "ce_source": b"/sagaproof/orchestrator",
        "ce_time": b"2026-01-02T03:04:05Z",
        "ce_specversion": b"1.0",
    }
    producer = Producer({"bootstrap.servers": shop.kafka()})
    producer.produce("inventory.commands", value, b"key", headers=headers)
    assert producer.flush(15) == 0


def dead_letters(shop: Shop) -> list[admin.DeadLetter]:
    request = admin.ListDeadLettersRequest(status=admin.DeadLetterStatus.DEAD_LETTER_STATUS_OPEN, limit=1000)
    return list(shop.admin("inventory").ListDeadLetters(request, timeout=15, wait_for_ready=True).dead_letters)
