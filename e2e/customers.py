"""Customers who order without a pause while the shop is hurt, and the sum over what became of their orders."""

from __future__ import annotations

import threading
from uuid import uuid4

from shop.admin.v1 import service_pb2 as admin

from e2e.conftest import PRICE_MINOR, STOCK
from e2e.shop import HEALS_WITHIN_S, Shop, eventually

OPENING_MINOR = 100_000


class Customers:
    """Places orders of one piece, each by a user of its own, until told to stop; tries each for `patience_s`."""

    def __init__(self, shop: Shop, product: str, patience_s: float = HEALS_WITHIN_S) -> None:
        self._shop = shop
        self._product = product
        self._patience_s = patience_s
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
                order_id = self._shop.order((self._product, 1), user=user, within_s=self._patience_s)
                self.placed[order_id] = user
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
    for service in ("order", "inventory", "payment", "shipping", "notification", "orchestrator"):
        if service not in shop.services:
            continue
        stub = shop.admin(service)
        assert stub.Rebuild(admin.RebuildRequest(), timeout=30, wait_for_ready=True).different_count == 0, service
        letters = stub.ListDeadLetters(admin.ListDeadLettersRequest(limit=1000), timeout=15).dead_letters
        assert not [letter for letter in letters if letter.key.decode("utf-8", "replace") in placed], service
