# ruff: noqa: ARG002, N802
"""Small real servers in place of the shop: a gateway (HTTP and WebSocket) and a service (gRPC with reflection).

They speak the real protocols on real ports, and misbehave on request.
"""

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from shop.admin.v1 import service_pb2 as admin_pb2
from shop.admin.v1 import service_pb2_grpc as admin_grpc
from shop.common.v1 import common_pb2
from shop.inventory.v1 import service_pb2 as inventory_pb2
from shop.inventory.v1 import service_pb2_grpc as inventory_grpc
from shop.payment.v1 import service_pb2 as payment_pb2
from shop.payment.v1 import service_pb2_grpc as payment_grpc
from shop.status.v1 import service_pb2 as status_pb2
from shop.status.v1 import service_pb2_grpc as status_grpc

from sagaproof.tests.waiting import until

ORDER_ID = "0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04"
WITHIN_S = 10.0
PRODUCT = {
    "productId": "product-1",
    "name": "Premium Widget",
    "price": {"amountMinor": 2999, "currency": "USD"},
    "available": 1100,
    "reserved": 2,
}


def document(seq: int, status: str = "PENDING", **more: object) -> dict[str, object]:
    """An order's document with `seq` events, 10 ms apart."""
    events = ["OrderCreated", "InventoryConfirmed", "PaymentCompleted", "Shipped"][:seq]
    timeline = [
        {"type": event, "time": f"2026-01-01T10:00:00.{index * 10:03}Z", "service": "order", "detail": None}
        for index, event in enumerate(events)
    ]
    return {"orderId": ORDER_ID, "userId": "ann", "status": status, "seq": seq, "timeline": timeline, **more}


class FakeGateway:
    """A gateway that knows one order, and says what it is told to say.

    story:     the order's documents, in the order of their seq
    refusal:   the answer to every call, if set: status and problem document
    cut_after: the WebSocket connections of a watch are cut after so many documents, one entry a connection
    """

    def __init__(self) -> None:
        self.story = [document(1), document(4, "COMPLETED")]
        self.refusal: tuple[int, dict[str, object]] | None = None
        self.cut_after: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.watched_since: list[int | None] = []
        self.url = ""
        self.app = FastAPI()
        self.app.post("/order")(self._order)
        self.app.get("/status/{order_id}")(self._status)
        self.app.post("/order/{order_id}/cancel")(self._cancel)
        self.app.get("/products")(self._products)
        self.app.get("/products/{product_id}")(self._product)
        self.app.get("/marketing/{view}")(self._marketing)
        self.app.websocket("/ws/{order_id}")(self._watch)

    def _answer(self, body: object, status: int = 200) -> Response:
        if self.refusal:
            return JSONResponse(self.refusal[1], self.refusal[0], media_type="application/problem+json")
        return JSONResponse(body, status)

    async def _order(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        return self._answer({"orderId": ORDER_ID, "status": "PENDING"}, 202)

    async def _status(self, order_id: str) -> Response:
        return self._answer({**self.story[-1], "orderId": order_id})

    async def _cancel(self, order_id: str) -> Response:
        return self._answer({"orderId": order_id, "status": "PENDING"}, 202)

    async def _products(self) -> Response:
        return self._answer([PRODUCT])

    async def _product(self, product_id: str) -> Response:
        return self._answer({**PRODUCT, "productId": product_id})

    async def _marketing(self, view: str, currency: str = "USD") -> Response:
        some = {"amountMinor": 123456, "currency": currency}
        sold = {"orders": 3, "pieces": 7, "revenue": some}
        answers: dict[str, object] = {
            "overview": {
                "completed": 1234,
                "cancelled": 2,
                "cancelledByReason": {"OUT_OF_STOCK": 2},
                "customers": 5,
                "pieces": 7,
                "revenue": some,
                "refunded": some,
                "averageOrderValue": some,
                "currencies": [currency],
            },
            "ltv": {"items": [{"userId": "ann", "orders": 3, "value": some}], "nextCursor": "more"},
            "popularity": [{"productId": "product-1", "name": None, **sold}],
            "daily-sales": [{"day": f"2026-01-0{n}", **sold, "refunded": some, "cancelled": 0} for n in (1, 2)],
        }
        return self._answer(answers[view])

    async def _watch(self, socket: WebSocket, order_id: str, since: int | None = None) -> None:
        await socket.accept()
        self.watched_since.append(since)
        if order_id != ORDER_ID:
            await socket.close(4404, "unknown order")
            return
        cut_after = self.cut_after.pop(0) if self.cut_after else None
        news = [found for found in self.story if since is None or int(str(found["seq"])) > since]
        for found in news[:cut_after]:
            await socket.send_json(found)
        await socket.close(1000 if cut_after is None else 1012)


@contextmanager
def running_gateway() -> Generator[FakeGateway]:
    """A FakeGateway on a free port."""
    gateway = FakeGateway()
    server = uvicorn.Server(uvicorn.Config(gateway.app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    gateway.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        server.should_exit = True
        thread.join(WITHIN_S)


class FakeInventory(inventory_grpc.InventoryServiceServicer):
    """Restocks, and loses its first `lost_answers` answers."""

    def __init__(self) -> None:
        self.lost_answers = 0
        self.request_ids: list[str] = []

    def ListProducts(self, request: inventory_pb2.ListProductsRequest, context: Any) -> Any:
        return inventory_pb2.ListProductsResponse()

    def GetProduct(self, request: inventory_pb2.GetProductRequest, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.NOT_FOUND, f"there is no product {request.product_id}")

    def Restock(self, request: inventory_pb2.RestockRequest, context: grpc.ServicerContext) -> Any:
        self.request_ids.append(request.request_id)
        if len(self.request_ids) <= self.lost_answers:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        product = inventory_pb2.Product(product_id=request.product_id, available=request.quantity)
        return inventory_pb2.RestockResponse(product=product)

    def GetReservation(self, request: inventory_pb2.GetReservationRequest, context: Any) -> Any:
        return inventory_pb2.GetReservationResponse(order_id=request.order_id)


class FakePayment(payment_grpc.PaymentServiceServicer):
    """Every account holds what was deposited last."""

    def GetAccount(self, request: payment_pb2.GetAccountRequest, context: Any) -> Any:
        return payment_pb2.GetAccountResponse()

    def ListAccounts(self, request: payment_pb2.ListAccountsRequest, context: Any) -> Any:
        return payment_pb2.ListAccountsResponse()

    def Deposit(self, request: payment_pb2.DepositRequest, context: Any) -> Any:
        account = payment_pb2.Account(user_id=request.user_id, balance=request.amount)
        return payment_pb2.DepositResponse(account=account)

    def GetCharge(self, request: payment_pb2.GetChargeRequest, context: Any) -> Any:
        return payment_pb2.GetChargeResponse(order_id=request.order_id)


class FakeStatus(status_grpc.StatusServiceServicer):
    """Answers every subscription as it comes, and never ends a stream by itself."""

    def GetStatus(self, request: status_pb2.GetStatusRequest, context: Any) -> Any:
        return status_pb2.GetStatusResponse()

    def Watch(self, request_iterator: Iterator[status_pb2.WatchRequest], context: Any) -> Any:
        for request in request_iterator:
            completed = common_pb2.ORDER_STATUS_COMPLETED
            order_id = request.subscribe.order_id
            yield status_pb2.WatchResponse(
                order_id=order_id, document=status_pb2.StatusDocument(order_id=order_id, status=completed)
            )


class FakeAdmin(admin_grpc.AdminServiceServicer):
    """One stored event; everything else is not implemented."""

    __abstractmethods__ = frozenset[str]()

    def ListEvents(self, request: admin_pb2.ListEventsRequest, context: Any) -> Any:
        event = admin_pb2.StoredEvent(seq=7, entity=request.entity, json='{"quantity": 3}')
        return admin_pb2.ListEventsResponse(events=[event])


class FakeService:
    """The servicers behind `address`."""

    def __init__(self, address: str, inventory: FakeInventory) -> None:
        self.address = address
        self.inventory = inventory


@contextmanager
def running_service() -> Generator[FakeService]:
    """Inventory, payment, status and an AdminService on one free port, with reflection and health."""
    server = grpc.server(ThreadPoolExecutor(4))
    inventory = FakeInventory()
    inventory_grpc.add_InventoryServiceServicer_to_server(inventory, server)
    payment_grpc.add_PaymentServiceServicer_to_server(FakePayment(), server)
    status: Any = FakeStatus
    status_grpc.add_StatusServiceServicer_to_server(status(), server)
    admin: Any = FakeAdmin
    admin_grpc.add_AdminServiceServicer_to_server(admin(), server)
    untyped: Any = health_pb2_grpc
    untyped.add_HealthServicer_to_server(health.HealthServicer(), server)
    names = [
        file.services_by_name[service].full_name
        for file, service in (
            (inventory_pb2.DESCRIPTOR, "InventoryService"),
            (status_pb2.DESCRIPTOR, "StatusService"),
            (admin_pb2.DESCRIPTOR, "AdminService"),
        )
    ]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield FakeService(f"127.0.0.1:{port}", inventory)
    finally:
        server.stop(None).wait(WITHIN_S)
