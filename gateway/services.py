"""What the gateway asks of the services, one method for each wish; whatever goes wrong comes out as a ProblemError."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc
from grpc import aio
from pydantic.alias_generators import to_camel
from shop.common.v1 import common_pb2
from shop.inventory.v1 import service_pb2 as inventory_pb2
from shop.inventory.v1 import service_pb2_grpc as inventory_grpc
from shop.marketing.v1 import service_pb2 as marketing_pb2
from shop.marketing.v1 import service_pb2_grpc as marketing_grpc
from shop.order.v1 import service_pb2 as order_pb2
from shop.order.v1 import service_pb2_grpc as order_grpc
from shop.payment.v1 import service_pb2 as payment_pb2
from shop.payment.v1 import service_pb2_grpc as payment_grpc
from shop.status.v1 import dashboard_pb2, lists_pb2, log_pb2
from shop.status.v1 import service_pb2 as status_pb2
from shop.status.v1 import service_pb2_grpc as status_grpc

from gateway import documents, problems, trace
from gateway.backends import (
    Backend,
    FieldViolation,
    Patience,
    RefusedError,
    RequestT,
    ResponseT,
    UnavailableError,
)
from gateway.breaker import Breaker
from gateway.documents import Snapshot
from gateway.joiner import Joiner, QueueFullError
from gateway.metrics import Metrics
from gateway.models import Money, OrderAnswer, OrderRequest, Product
from gateway.problems import FieldError, ProblemError
from gateway.settings import Settings

_RETRY_AFTER_S = 1
_BATCH_PREFIX = re.compile(r"^orders\[\d+\]\.?")


class Services:
    """To be made inside a running event loop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        def backend(name: str, address: str) -> Backend:
            return Backend(name, address, Breaker(settings.circuit_failures, settings.circuit_cooldown_s), metrics)

        self.order = backend("order", settings.order_address)
        self.inventory = backend("inventory", settings.inventory_address)
        self.payment = backend("payment", settings.payment_address)
        self.status = backend("status", settings.status_address)
        self.marketing = backend("marketing", settings.marketing_address)
        # What an order needs; without the others the gateway is ready all the same.
        self.needed: Sequence[Backend] = (self.order, self.inventory, self.status)
        self.all: Sequence[Backend] = (*self.needed, self.payment, self.marketing)
        self._orders = order_grpc.OrderServiceStub(self.order.channel)
        self._inventory = inventory_grpc.InventoryServiceStub(self.inventory.channel)
        self._payment = payment_grpc.PaymentServiceStub(self.payment.channel)
        self.statuses = status_grpc.StatusServiceStub(self.status.channel)
        self._marketing = marketing_grpc.MarketingServiceStub(self.marketing.channel)
        self._reading = Patience(settings.read_attempt_s, settings.read_deadline_s)
        self._placing = Patience(settings.place_attempt_s, settings.place_deadline_s)
        self._joiner = Joiner(
            self._place_orders,
            max_waiting=settings.max_waiting_orders,
            max_in_flight=settings.max_calls_in_flight,
            patience_s=settings.join_patience_s,
            joined=metrics.joined.observe,
        )

    async def close(self) -> None:
        for backend in self.all:
            await backend.channel.close()

    async def place(self, order_id: str, order: OrderRequest) -> OrderAnswer:
        """Places the order under the id that the gateway minted."""
        if not self.order.breaker.would_allow():
            raise _unavailable("The order service does not answer; nothing was sent.")
        request = order_pb2.PlaceOrderRequest(
            order_id=order_id,
            user_id=order.user_id,
            items=[common_pb2.OrderItem(product_id=line.product_id, quantity=line.quantity) for line in order.items],
            delivery_address=order.delivery_address or "",
        )
        try:
            with trace.calling("order", "PlaceOrders"):
                accepted = await self._joiner.place(request)
        except QueueFullError:
            raise ProblemError(
                problems.OVERLOADED, "Too many orders are waiting; nothing was sent.", retry_after_s=_RETRY_AFTER_S
            ) from None
        except RefusedError as refused:
            raise _placing_refused(order_id, refused) from None
        except UnavailableError as unavailable:
            if not unavailable.sent:
                raise _unavailable("The order service does not answer; nothing was sent.") from None
            raise _outcome_unknown(order_id) from None
        return OrderAnswer(order_id=accepted.order_id, status=documents.order_status(accepted.status))

    async def _place_orders(self, request: order_pb2.PlaceOrdersRequest) -> order_pb2.PlaceOrdersResponse:
        return await self.order.call(self._orders.PlaceOrders, request, self._placing)

    async def cancel(self, order_id: str) -> OrderAnswer:
        request = order_pb2.CancelOrderRequest(order_id=order_id)
        try:
            response = await self.order.call(self._orders.CancelOrder, request, self._reading)
        except RefusedError as refused:
            if refused.code is grpc.StatusCode.FAILED_PRECONDITION:
                raise ProblemError(problems.ORDER_ENDED, refused.message, order_id=order_id) from None
            raise _refused(refused, _unknown_order(order_id)) from None
        except UnavailableError as unavailable:
            raise _unavailable(str(unavailable)) from None
        return OrderAnswer(order_id=order_id, status=documents.order_status(response.status))

    async def status_of(self, order_id: str) -> Snapshot:
        """The order as status knows it, or else its PENDING snapshot if it was accepted."""
        request = status_pb2.GetStatusRequest(order_id=order_id)
        try:
            response = await self.status.call(self.statuses.GetStatus, request, self._reading)
            return documents.snapshot(response.document)
        except RefusedError as refused:
            if refused.code is not grpc.StatusCode.NOT_FOUND:
                raise _refused(refused) from None
        except UnavailableError as unavailable:
            raise _unavailable(str(unavailable)) from None
        try:
            pending = await self.pending(order_id)
        except UnavailableError as unavailable:
            raise _unavailable(str(unavailable)) from None
        if pending is None:
            raise _unknown_order(order_id)
        return pending

    async def pending(self, order_id: str) -> Snapshot | None:
        """The PENDING snapshot of an accepted order; None if it was never accepted. Raises UnavailableError."""
        try:
            response = await self.order.call(
                self._orders.GetOrder, order_pb2.GetOrderRequest(order_id=order_id), self._reading
            )
        except RefusedError as refused:
            if refused.code is grpc.StatusCode.NOT_FOUND:
                return None
            raise UnavailableError("order", sent=True, cause=str(refused)) from None
        return documents.pending_snapshot(response.order)

    async def products(self, text: str, *, in_stock: bool) -> list[Product]:
        request = inventory_pb2.ListProductsRequest(text=text, in_stock=in_stock)
        response = await self._read(self.inventory, self._inventory.ListProducts, request)
        return [documents.product(each) for each in response.products]

    async def product(self, product_id: str) -> Product:
        request = inventory_pb2.GetProductRequest(product_id=product_id)
        try:
            response = await self.inventory.call(self._inventory.GetProduct, request, self._reading)
        except RefusedError as refused:
            raise _refused(
                refused, ProblemError(problems.UNKNOWN_PRODUCT, f"Product {product_id} is not known.")
            ) from None
        except UnavailableError as unavailable:
            raise _unavailable(str(unavailable)) from None
        return documents.product(response.product)

    async def restock(self, request_id: str, product_id: str, quantity: int) -> Product:
        request = inventory_pb2.RestockRequest(request_id=request_id, product_id=product_id, quantity=quantity)
        unknown = ProblemError(problems.UNKNOWN_PRODUCT, f"Product {product_id} is not known.")
        response = await self._read(self.inventory, self._inventory.Restock, request, unknown)
        return documents.product(response.product)

    async def deposit(self, request_id: str, user_id: str, amount: Money) -> Money:
        """The balance after it."""
        money = common_pb2.Money(amount_minor=amount.amount_minor, currency=amount.currency)
        request = payment_pb2.DepositRequest(request_id=request_id, user_id=user_id, amount=money)
        response = await self._read(self.payment, self._payment.Deposit, request)
        return documents.money(response.account.balance)

    async def overview(self, request: marketing_pb2.GetOverviewRequest) -> marketing_pb2.GetOverviewResponse:
        return await self._read(self.marketing, self._marketing.GetOverview, request)

    async def lifetime_values(
        self, request: marketing_pb2.ListLifetimeValuesRequest
    ) -> marketing_pb2.ListLifetimeValuesResponse:
        return await self._read(self.marketing, self._marketing.ListLifetimeValues, request)

    async def popularity(self, request: marketing_pb2.ListPopularityRequest) -> marketing_pb2.ListPopularityResponse:
        return await self._read(self.marketing, self._marketing.ListPopularity, request)

    async def daily_sales(self, request: marketing_pb2.ListDailySalesRequest) -> marketing_pb2.ListDailySalesResponse:
        return await self._read(self.marketing, self._marketing.ListDailySales, request)

    async def orders(self, request: lists_pb2.ListOrdersRequest) -> lists_pb2.ListOrdersResponse:
        return await self._read(self.status, self.statuses.ListOrders, request)

    async def sagas(self, request: lists_pb2.ListSagasRequest) -> lists_pb2.ListSagasResponse:
        return await self._read(self.status, self.statuses.ListSagas, request)

    async def saga_table(self) -> lists_pb2.GetSagaTableResponse:
        return await self._read(self.status, self.statuses.GetSagaTable, lists_pb2.GetSagaTableRequest())

    async def dashboard(self) -> dashboard_pb2.Dashboard:
        request = dashboard_pb2.GetDashboardRequest()
        return (await self._read(self.status, self.statuses.GetDashboard, request)).dashboard

    async def events(self, request: log_pb2.ListEventsRequest) -> log_pb2.ListEventsResponse:
        return await self._read(self.status, self.statuses.ListEvents, request)

    async def _read(
        self,
        backend: Backend,
        method: aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        not_found: ProblemError | None = None,
    ) -> ResponseT:
        """The answer to what can only fail by being wrong, or by nobody there to answer."""
        try:
            return await backend.call(method, request, self._reading)
        except RefusedError as refused:
            raise _refused(refused, not_found) from None
        except UnavailableError as unavailable:
            raise _unavailable(str(unavailable)) from None


def _placing_refused(order_id: str, refused: RefusedError) -> ProblemError:
    if refused.code is grpc.StatusCode.ALREADY_EXISTS:
        message = "was used before by this user for an order with another body"
        errors = [FieldError(field="Idempotency-Key", message=message)]
        return ProblemError(problems.KEY_REUSED, f"Idempotency-Key {message}.", errors=errors, order_id=order_id)
    if refused.code is grpc.StatusCode.INVALID_ARGUMENT:
        return _refused(refused)
    return _outcome_unknown(order_id)


def _outcome_unknown(order_id: str) -> ProblemError:
    detail = "The order service gave no answer in time. The order may exist: ask for its status."
    return ProblemError(problems.OUTCOME_UNKNOWN, detail, order_id=order_id, retry_after_s=_RETRY_AFTER_S)


def _unknown_order(order_id: str) -> ProblemError:
    return ProblemError(problems.UNKNOWN_ORDER, f"Order {order_id} was never accepted.")


def _unavailable(detail: str) -> ProblemError:
    return ProblemError(problems.UNAVAILABLE, detail, retry_after_s=_RETRY_AFTER_S)


def _refused(refused: RefusedError, not_found: ProblemError | None = None) -> ProblemError:
    """The problem for a refusal: `not_found` where that is what it says, 422 with the fields, or else 503."""
    if refused.code is grpc.StatusCode.NOT_FOUND and not_found is not None:
        return not_found
    if refused.code is grpc.StatusCode.INVALID_ARGUMENT:
        errors = [FieldError(field=json_path_of(each), message=each.message) for each in refused.violations]
        return ProblemError(problems.INVALID, refused.message or "The request is not valid.", errors=errors)
    return _unavailable(f"A service refused: {refused}")


def json_path_of(violation: FieldViolation) -> str:
    """`orders[3].items[0].product_id` as `items[0].productId`."""
    path = _BATCH_PREFIX.sub("", violation.field)
    return ".".join(to_camel(part) for part in path.split(".")) or "body"
