"""Small real gRPC servers in place of the services: they keep the contract of the proto files, and tests script faults.

They answer as the real services do where the gateway can tell: results per order, the same id twice, refusals with
fields, a watch stream that answers an unknown order without a document.
"""

# ruff: noqa: N802, ARG002 - names and arguments are those of the generated servicers
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2  # pyright: ignore[reportMissingTypeStubs]
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from shop.common.v1 import common_pb2
from shop.inventory.v1 import service_pb2 as inventory_pb2
from shop.inventory.v1 import service_pb2_grpc as inventory_grpc
from shop.marketing.v1 import service_pb2 as marketing_pb2
from shop.marketing.v1 import service_pb2_grpc as marketing_grpc
from shop.order.v1 import service_pb2 as order_pb2
from shop.order.v1 import service_pb2_grpc as order_grpc
from shop.status.v1 import service_pb2 as status_service_pb2
from shop.status.v1 import service_pb2_grpc as status_grpc

from gateway.tests.reads_double import ReadsDouble

Fault = Callable[[aio.ServicerContext[Any, Any]], Awaitable[None]]

PRODUCT = inventory_pb2.Product(
    product_id="product-1",
    name="Premium Widget",
    price=common_pb2.Money(amount_minor=2999, currency="USD"),
    available=98,
    reserved=2,
)


async def unavailable(context: aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


async def hang(_: aio.ServicerContext[Any, Any]) -> None:
    await asyncio.Event().wait()


class OrderDouble(order_grpc.OrderServiceServicer):
    def __init__(self) -> None:
        self.accepted: dict[str, order_pb2.PlaceOrderRequest] = {}
        self.ended: set[str] = set()
        # The ids of each PlaceOrders call, as they came in.
        self.calls: list[list[str]] = []
        self.traceparents: list[str] = []
        # Each is taken by one call: before anything is stored, and after everything is.
        self.faults_before: deque[Fault] = deque()
        self.faults_after: deque[Fault] = deque()
        self.always: Fault | None = None
        # The message of a call that is refused as a whole if it holds this user, as protovalidate would do it.
        self.poison_user = ""

    def PlaceOrder(self, request: order_pb2.PlaceOrderRequest, context: object) -> order_pb2.PlaceOrderResponse:
        raise NotImplementedError

    async def PlaceOrders(
        self, request: order_pb2.PlaceOrdersRequest, context: aio.ServicerContext[Any, Any]
    ) -> order_pb2.PlaceOrdersResponse:
        self.calls.append([order.order_id for order in request.orders])
        self.traceparents += [order.traceparent for order in request.orders]
        if self.always:
            await self.always(context)
        if self.faults_before:
            await self.faults_before.popleft()(context)
        for index, order in enumerate(request.orders):
            if self.poison_user and order.user_id == self.poison_user:
                await refuse_fields(context, {f"orders[{index}].items[0].product_id": "does not match"})
        results = [self._accept(order) for order in request.orders]
        if self.faults_after:
            await self.faults_after.popleft()(context)
        return order_pb2.PlaceOrdersResponse(results=results)

    def _accept(self, order: order_pb2.PlaceOrderRequest) -> order_pb2.PlaceOrderResult:
        order.ClearField("traceparent")  # who asks again is the same order in another trace
        known = self.accepted.setdefault(order.order_id, order)
        if known != order:
            refusal = order_pb2.Refusal(code=code_pb2.ALREADY_EXISTS, message="another body")
            return order_pb2.PlaceOrderResult(refused=refusal)
        for index, item in enumerate(order.items):
            if item.product_id == "product-9":
                del self.accepted[order.order_id]
                field = f"items[{index}].product_id"
                refusal = order_pb2.Refusal(code=code_pb2.INVALID_ARGUMENT, message="is not known", field=field)
                return order_pb2.PlaceOrderResult(refused=refusal)
        accepted = order_pb2.PlaceOrderResponse(order_id=order.order_id, status=common_pb2.ORDER_STATUS_PENDING)
        return order_pb2.PlaceOrderResult(accepted=accepted)

    async def CancelOrder(
        self, request: order_pb2.CancelOrderRequest, context: aio.ServicerContext[Any, Any]
    ) -> order_pb2.CancelOrderResponse:
        if request.order_id not in self.accepted:
            await context.abort(grpc.StatusCode.NOT_FOUND, "never accepted")
        if request.order_id in self.ended:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the order is COMPLETED")
        status = common_pb2.ORDER_STATUS_AWAITING_SHIPMENT
        return order_pb2.CancelOrderResponse(order_id=request.order_id, status=status)

    async def GetOrder(
        self, request: order_pb2.GetOrderRequest, context: aio.ServicerContext[Any, Any]
    ) -> order_pb2.GetOrderResponse:
        if self.always:
            await self.always(context)
        placed = self.accepted.get(request.order_id)
        if placed is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "never accepted")
            raise AssertionError
        order = common_pb2.Order(
            order_id=placed.order_id,
            user_id=placed.user_id,
            items=placed.items,
            delivery_address=placed.delivery_address,
        )
        # The order service may know more than status does; the gateway must not tell.
        return order_pb2.GetOrderResponse(order=order, status=common_pb2.ORDER_STATUS_AWAITING_SHIPMENT)


async def refuse_fields(context: aio.ServicerContext[Any, Any], fields: dict[str, str]) -> None:
    detail = any_pb2.Any()
    violations = [error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in fields.items()]
    detail.Pack(error_details_pb2.BadRequest(field_violations=violations))
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="not valid", details=[detail])
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, status.message, metadata)


class InventoryDouble(inventory_grpc.InventoryServiceServicer):
    async def ListProducts(
        self, request: inventory_pb2.ListProductsRequest, context: aio.ServicerContext[Any, Any]
    ) -> inventory_pb2.ListProductsResponse:
        found = request.text in PRODUCT.name and not request.in_stock
        return inventory_pb2.ListProductsResponse(products=[PRODUCT] if found else [])

    async def GetProduct(
        self, request: inventory_pb2.GetProductRequest, context: aio.ServicerContext[Any, Any]
    ) -> inventory_pb2.GetProductResponse:
        if request.product_id != PRODUCT.product_id:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such product")
        return inventory_pb2.GetProductResponse(product=PRODUCT)

    def Restock(self, request: object, context: object) -> inventory_pb2.RestockResponse:
        raise NotImplementedError

    def GetReservation(self, request: object, context: object) -> inventory_pb2.GetReservationResponse:
        raise NotImplementedError


class StatusDouble(ReadsDouble):
    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[str, status_service_pb2.StatusDocument] = {}
        # (order id, since) of each subscription, over all streams, as they came in.
        self.subscriptions: list[tuple[str, int]] = []
        self.watched: set[str] = set()
        self.streams_opened = 0
        self._streams: dict[asyncio.Queue[status_service_pb2.WatchResponse], set[str]] = {}

    def publish(self, document: status_service_pb2.StatusDocument) -> None:
        """The read model has this now, and tells those who watch."""
        self.documents[document.order_id] = document
        self.send(document)

    def send(self, document: status_service_pb2.StatusDocument) -> None:
        """Sends without looking at any seq, as nothing forbids."""
        for queue, orders in self._streams.items():
            if document.order_id in orders:
                queue.put_nowait(status_service_pb2.WatchResponse(order_id=document.order_id, document=document))

    async def GetStatus(
        self, request: status_service_pb2.GetStatusRequest, context: aio.ServicerContext[Any, Any]
    ) -> status_service_pb2.GetStatusResponse:
        document = self.documents.get(request.order_id)
        if document is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not seen yet")
        return status_service_pb2.GetStatusResponse(document=document)

    async def Watch(
        self,
        request_iterator: AsyncIterator[status_service_pb2.WatchRequest],
        context: aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[status_service_pb2.WatchResponse]:
        queue: asyncio.Queue[status_service_pb2.WatchResponse] = asyncio.Queue()
        orders: set[str] = set()
        self._streams[queue] = orders
        self.streams_opened += 1
        reader = asyncio.create_task(self._read(request_iterator, queue, orders))
        try:
            while True:
                yield await queue.get()
        finally:
            reader.cancel()
            del self._streams[queue]

    async def _read(
        self,
        requests: AsyncIterator[status_service_pb2.WatchRequest],
        queue: asyncio.Queue[status_service_pb2.WatchResponse],
        orders: set[str],
    ) -> None:
        async for request in requests:
            if request.HasField("unsubscribe"):
                orders.discard(request.unsubscribe.order_id)
                self.watched.discard(request.unsubscribe.order_id)
                continue
            order_id, since = request.subscribe.order_id, request.subscribe.since
            self.subscriptions.append((order_id, since))
            self.watched.add(order_id)
            orders.add(order_id)
            document = self.documents.get(order_id)
            if document is None:
                queue.put_nowait(status_service_pb2.WatchResponse(order_id=order_id))
            elif document.seq > since:
                queue.put_nowait(status_service_pb2.WatchResponse(order_id=order_id, document=document))


class MarketingDouble(marketing_grpc.MarketingServiceServicer):
    """Three customers; each answer is in the currency that was asked for."""

    VALUES = (("bob", 1, 12998), ("cy", 1, 12998), ("ada", 2, 10997))

    async def GetOverview(
        self, request: marketing_pb2.GetOverviewRequest, context: aio.ServicerContext[Any, Any]
    ) -> marketing_pb2.GetOverviewResponse:
        reason = common_pb2.REASON_OUT_OF_STOCK
        return marketing_pb2.GetOverviewResponse(
            completed=4,
            cancelled=2,
            cancelled_by_reason=[marketing_pb2.CancelledOrders(reason=reason, orders=2)],
            customers=3,
            pieces=7,
            revenue=_amount(36993, request.currency),
            refunded=_amount(0, request.currency),
            average_order_value=_amount(9248, request.currency),
            currencies=["USD"],
        )

    async def ListLifetimeValues(
        self, request: marketing_pb2.ListLifetimeValuesRequest, context: aio.ServicerContext[Any, Any]
    ) -> marketing_pb2.ListLifetimeValuesResponse:
        after = (-request.after.amount_minor, request.after.user_id) if request.HasField("after") else (-(10**18), "")
        behind = [each for each in self.VALUES if (-each[2], each[0]) > after]
        values = [
            marketing_pb2.LifetimeValue(user_id=user_id, orders=orders, value=_amount(minor, request.currency))
            for user_id, orders, minor in behind[: request.limit]
        ]
        following = None
        if len(behind) > request.limit:
            last = values[-1]
            following = marketing_pb2.LifetimeValuePosition(amount_minor=last.value.amount_minor, user_id=last.user_id)
        return marketing_pb2.ListLifetimeValuesResponse(values=values, next=following)

    async def ListPopularity(
        self, request: marketing_pb2.ListPopularityRequest, context: aio.ServicerContext[Any, Any]
    ) -> marketing_pb2.ListPopularityResponse:
        products = [
            marketing_pb2.Popularity(
                product_id=product_id, name=name, pieces=4, orders=3, revenue=_amount(11996, request.currency)
            )
            for product_id, name in (("product-1", "Premium Widget"), ("gone", ""))
        ]
        return marketing_pb2.ListPopularityResponse(products=products[: request.limit])

    async def ListDailySales(
        self, request: marketing_pb2.ListDailySalesRequest, context: aio.ServicerContext[Any, Any]
    ) -> marketing_pb2.ListDailySalesResponse:
        days = [
            marketing_pb2.DailySales(
                day=day,
                orders=3,
                pieces=5,
                revenue=_amount(30995, request.currency),
                refunded=_amount(62979, request.currency),
                cancelled=1,
            )
            for day in ("2026-01-01", "2026-01-02")
            if request.first_day <= day <= (request.last_day or "9")
        ]
        return marketing_pb2.ListDailySalesResponse(days=days)


def _amount(amount_minor: int, currency: str) -> common_pb2.Money:
    return common_pb2.Money(amount_minor=amount_minor, currency=currency or "USD")


class HealthDouble(health_pb2_grpc.HealthServicer):
    def __init__(self) -> None:
        self.serving = True

    async def Check(self, request: health_pb2.HealthCheckRequest, context: object) -> health_pb2.HealthCheckResponse:
        assert request.service == "readiness"
        serving = health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse(
            status=serving if self.serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )


Add = Callable[[aio.Server], None]


class Service:
    """One gRPC server that can be stopped, and started again on its port."""

    def __init__(self, port: int, *adders: Add) -> None:
        self.port = port
        self.health = HealthDouble()
        self._adders = adders
        self._server: aio.Server | None = None

    async def start(self) -> None:
        server = aio.server(options=[("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 5000)])
        for add in self._adders:
            add(server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)  # pyright: ignore[reportUnknownMemberType]
        assert server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """At once, as a crash would look from outside."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None


def order_service(port: int, double: OrderDouble) -> Service:
    return Service(port, lambda server: order_grpc.add_OrderServiceServicer_to_server(double, server))


def inventory_service(port: int, double: InventoryDouble) -> Service:
    return Service(port, lambda server: inventory_grpc.add_InventoryServiceServicer_to_server(double, server))


def status_service(port: int, double: StatusDouble) -> Service:
    return Service(port, lambda server: status_grpc.add_StatusServiceServicer_to_server(double, server))


def marketing_service(port: int, double: MarketingDouble) -> Service:
    return Service(port, lambda server: marketing_grpc.add_MarketingServiceServicer_to_server(double, server))
