"""Customers and operators of a real shop: over HTTP to the gateway, over gRPC to the services.

They ask again while a part of the shop is away, always under the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import uuid4

import grpc
import httpx
from shop.admin.v1.service_pb2_grpc import AdminServiceStub
from shop.common.v1.common_pb2 import Money
from shop.inventory.v1.service_pb2 import RestockRequest
from shop.inventory.v1.service_pb2_grpc import InventoryServiceStub
from shop.payment.v1.service_pb2 import DepositRequest
from shop.payment.v1.service_pb2_grpc import PaymentServiceStub

from e2e.substrates.site import Site
from e2e.waiting import eventually

RPC_WITHIN_S = 5.0
ANSWERED_WITHIN_S = 60.0
"""Of something that is asked for again and again."""
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)
"""What may pass."""
RECONNECT = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]

T = TypeVar("T")


class Clients:
    """Of one shop."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._http = httpx.Client(base_url=site.url, timeout=15.0)
        self._channels: dict[str, grpc.Channel] = {}

    def close(self) -> None:
        self._http.close()
        for channel in self._channels.values():
            channel.close()

    def order(self, user: str, items: Mapping[str, int]) -> str:
        """The id of the order, which is accepted."""
        listed = [{"productId": product, "quantity": pieces} for product, pieces in items.items()]
        headers = {"Idempotency-Key": str(uuid4())}
        answer = self._http_answer("POST", "/order", (202,), json={"userId": user, "items": listed}, headers=headers)
        return answer.json()["orderId"]

    def cancel(self, order_id: str) -> None:
        """Whatever the answer: it may have ended."""
        self._http_answer("POST", f"/order/{order_id}/cancel", (202, 409))

    def status(self, order_id: str) -> dict[str, Any]:
        """The `/status` document."""
        return self._http_answer("GET", f"/status/{order_id}", (200,)).json()

    def restock(self, product: str, pieces: int) -> None:
        request = RestockRequest(request_id=str(uuid4()), product_id=product, quantity=pieces)
        stub = InventoryServiceStub(self._channel(self._site.public("inventory")))
        self.ask(lambda: stub.Restock(request, timeout=RPC_WITHIN_S, wait_for_ready=True))

    def deposit(self, user: str, amount_minor: int) -> None:
        amount = Money(amount_minor=amount_minor, currency="USD")
        request = DepositRequest(request_id=str(uuid4()), user_id=user, amount=amount)
        stub = PaymentServiceStub(self._channel(self._site.public("payment")))
        self.ask(lambda: stub.Deposit(request, timeout=RPC_WITHIN_S, wait_for_ready=True))

    def admin(self, process: str) -> AdminServiceStub:
        return AdminServiceStub(self._channel(self._site.admin(process)))

    def ask(self, call: Callable[[], T]) -> T:
        """Its answer, when whoever is asked is there again. Raises grpc.RpcError for what does not pass."""

        last = ""

        def answer() -> list[T] | None:
            nonlocal last
            try:
                return [call()]
            except grpc.RpcError as error:
                if error.code() not in AWAY:
                    raise
                last = f"{error.code().name} {error.details()}"
                return None

        return eventually(lambda: f"an RPC is answered; last: {last}", answer, ANSWERED_WITHIN_S)[0]

    def _http_answer(self, method: str, path: str, fine: tuple[int, ...], **request: Any) -> httpx.Response:
        last = ""

        def answer() -> list[httpx.Response] | None:
            nonlocal last
            try:
                found = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                last = f"{type(error).__name__} {error}"
                return None
            if found.status_code == 503:
                last = f"503 {found.text}"
                return None
            assert found.status_code in fine, f"{method} {path}: {found.status_code} {found.text}"
            return [found]  # as an answer of 409 is not true by itself

        return eventually(lambda: f"{method} {path} is answered; last: {last}", answer, ANSWERED_WITHIN_S)[0]

    def _channel(self, address: str) -> grpc.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.insecure_channel(address, options=RECONNECT)
        return self._channels[address]
