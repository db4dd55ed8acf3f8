"""Shelves and accounts: filled before the load and counted before and after it, by gRPC."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc
import msgspec
from shop.admin.v1 import service_pb2 as admin_pb2
from shop.admin.v1 import service_pb2_grpc as admin_grpc
from shop.common.v1 import common_pb2
from shop.inventory.v1 import service_pb2 as inventory_pb2
from shop.inventory.v1 import service_pb2_grpc as inventory_grpc
from shop.payment.v1 import service_pb2 as payment_pb2
from shop.payment.v1 import service_pb2_grpc as payment_grpc

from sagaproof.rpc import in_one_line, open_channel
from sagaproof.running import Places
from services import catalogue

CALL_S = 30.0
AT_ONCE = 200
"""Calls in flight: the services handle what waits as one batch."""
RESTOCK_MAX = 1_000_000
DEPOSIT_MINOR = 10_000_000_000
"""For each user: a hundred million, in the account's currency; more than the longest run spends."""


class Stock(NamedTuple):
    """Of one product."""

    price_minor: int
    available: int
    reserved: int


class Counted(NamedTuple):
    """Stock by product, balance by user."""

    stock: Mapping[str, Stock]
    balance_minor: Mapping[str, int]


class Goods:
    """Inventory and payment of one shop, and the admin listeners of all its services."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._inventory_at, self._payment_at = places.address("inventory"), places.address("payment")
        self._channels = [open_channel(self._inventory_at), open_channel(self._payment_at)]
        self._inventory = inventory_grpc.InventoryServiceStub(self._channels[0])
        self._payment = payment_grpc.PaymentServiceStub(self._channels[1])
        admin = {name: open_channel(places.admin_address(name), retry=False) for name in places.services}
        self._channels += admin.values()
        self._admin = {name: admin_grpc.AdminServiceStub(channel) for name, channel in admin.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for channel in self._channels:
            channel.close()

    def products(self) -> dict[str, Stock]:
        """By product id, in the catalogue's order."""
        with in_one_line("inventory", self._inventory_at):
            found = self._inventory.ListProducts(inventory_pb2.ListProductsRequest(), timeout=CALL_S).products
        return {each.product_id: Stock(each.price.amount_minor, each.available, each.reserved) for each in found}

    def fill(self, products: Sequence[str], each: int, users: int) -> None:
        """At least `each` more pieces of every product, and money for all users of the benchmark."""
        restocks = list[inventory_pb2.RestockRequest]()
        for product in products:
            for left in range(each, 0, -RESTOCK_MAX):
                quantity = min(left, RESTOCK_MAX)
                request_id = str(uuid.uuid4())
                restocks.append(
                    inventory_pb2.RestockRequest(request_id=request_id, product_id=product, quantity=quantity)
                )
        with in_one_line("inventory", self._inventory_at):
            _all(self._inventory.Restock, restocks)
        amount = common_pb2.Money(amount_minor=DEPOSIT_MINOR, currency="USD")
        deposits = [
            payment_pb2.DepositRequest(request_id=str(uuid.uuid4()), user_id=f"bench-{n}", amount=amount)
            for n in range(users)
        ]
        with in_one_line("payment", self._payment_at):
            _all(self._payment.Deposit, deposits)

    def count(self, users: int) -> Counted:
        asked = [payment_pb2.GetAccountRequest(user_id=f"bench-{n}") for n in range(users)]
        with in_one_line("payment", self._payment_at):
            answers = _all(self._payment.GetAccount, asked)
        balances = {each.account.user_id: each.account.balance.amount_minor for each in answers}
        return Counted(self.products(), balances)

    def lag(self) -> int | None:
        """Messages that some service has not handled yet; None while one does not answer."""
        try:
            return sum(stub.GetInfo(admin_pb2.GetInfoRequest(), timeout=CALL_S).lag for stub in self._admin.values())
        except grpc.RpcError:
            return None

    def dead_letters(self) -> dict[str, int]:
        """Open ones, by service; only services that have some (1,000 at most are counted)."""
        found = dict[str, int]()
        for name, stub in self._admin.items():
            asked = admin_pb2.ListDeadLettersRequest(status=admin_pb2.DEAD_LETTER_STATUS_OPEN, limit=1000)
            with in_one_line(name, self._places.admin_address(name)):
                if dead := len(stub.ListDeadLetters(asked, timeout=CALL_S).dead_letters):
                    found[name] = dead
        return found


def write_catalogue(path: Path, products: int) -> None:
    """A catalogue of that many products, with a few pieces of each."""
    made = [
        catalogue.Product(f"product-{n}", f"Product {n}", 100 + n % 9_900, "USD", 10) for n in range(1, products + 1)
    ]
    path.write_bytes(msgspec.json.encode(made))


def _all(call: Any, requests: Sequence[Any]) -> list[Any]:
    """Every answer, with AT_ONCE calls in flight. Raises grpc.RpcError."""
    waiting, answers = iter(requests), list[Any]()
    while chunk := list(islice(waiting, AT_ONCE)):
        futures = [call.future(request, timeout=CALL_S) for request in chunk]
        answers += [future.result() for future in futures]
    return answers
