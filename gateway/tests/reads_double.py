"""The lists, the dashboard and the event log of a double of the status service."""

# ruff: noqa: N802, ARG002 - names and arguments are those of the generated servicers
from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.any_pb2 import Any as AnyProto
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio
from shop.common.v1 import common_pb2
from shop.status.v1 import dashboard_pb2, lists_pb2, log_pb2
from shop.status.v1 import service_pb2_grpc as status_grpc

Context = aio.ServicerContext[Any, Any]


def at(ms: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(1_767_268_800_000 + ms)
    return time


class ReadsDouble(status_grpc.StatusServiceServicer):
    """orders: position -> order, the newest last; filters are kept in `asked`, and only `user_id` is heeded."""

    def __init__(self) -> None:
        self.orders: dict[str, lists_pb2.OrderSummary] = {}
        self.asked: list[lists_pb2.OrderFilter] = []
        self.dashboard = dashboard_pb2.Dashboard(accepted=1)
        self.log: list[log_pb2.LoggedEvent] = []
        # Streams that are open now, and all that were ever opened, by kind.
        self.followers: dict[str, set[asyncio.Queue[Any]]] = {"events": set(), "dashboard": set()}
        self.opened: dict[str, int] = {"events": 0, "dashboard": 0}
        # The `after` of each stream of events.
        self.followed_from: list[int | None] = []

    def list_order(self, user_id: str = "user-1", **fields: Any) -> lists_pb2.OrderSummary:
        """One more order, newer than all others."""
        order = lists_pb2.OrderSummary(
            order_id=str(uuid.uuid4()), user_id=user_id, created_at=at(0), updated_at=at(5), **fields
        )
        self.orders[f"{len(self.orders):012x}"] = order
        return order

    def store(self, event: Message, key: str, *, cursor: int | None = None) -> log_pb2.LoggedEvent:
        """Puts an event into the log, and tells those who follow it, with this cursor or its own seq."""
        full_type = event.DESCRIPTOR.full_name
        logged = log_pb2.LoggedEvent(
            id=str(uuid.uuid4()),
            time=at(len(self.log)),
            service=full_type.split(".")[1],
            topic="orders",
            key=key,
            causation_id="cause",
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
            event=AnyProto(type_url=f"type.googleapis.com/{full_type}", value=event.SerializeToString()),
            seq=len(self.log) + 1,
        )
        self.log.append(logged)
        self.tell([logged], logged.seq if cursor is None else cursor)
        return logged

    def tell(self, events: list[log_pb2.LoggedEvent], cursor: int, skipped: int = 0) -> None:
        for queue in self.followers["events"]:
            queue.put_nowait(log_pb2.WatchEventsResponse(events=events, cursor=cursor, skipped=skipped))

    def count(self, dashboard: dashboard_pb2.Dashboard) -> None:
        self.dashboard = dashboard
        for queue in self.followers["dashboard"]:
            queue.put_nowait(dashboard_pb2.WatchDashboardResponse(dashboard=dashboard))

    def _page(
        self, asked: lists_pb2.OrderFilter, after: lists_pb2.Place, limit: int
    ) -> tuple[list[lists_pb2.OrderSummary], lists_pb2.Place | None]:
        self.asked.append(asked)
        behind = [
            (position, order)
            for position, order in sorted(self.orders.items(), reverse=True)
            if asked.user_id in ("", order.user_id) and (not after.position or position < after.position)
        ]
        found = behind[:limit]
        if len(behind) <= limit:
            return [order for _, order in found], None
        position, last = found[-1]
        return [order for _, order in found], lists_pb2.Place(position=position, order_id=last.order_id)

    async def ListOrders(self, request: lists_pb2.ListOrdersRequest, context: Context) -> lists_pb2.ListOrdersResponse:
        orders, following = self._page(request.filter, request.after, request.limit)
        return lists_pb2.ListOrdersResponse(orders=orders, next=following)

    async def ListSagas(self, request: lists_pb2.ListSagasRequest, context: Context) -> lists_pb2.ListSagasResponse:
        orders, following = self._page(request.filter, request.after, request.limit)
        steps = [
            lists_pb2.SagaStep(type="OrderCreated", service="order", time=at(0), since_previous=Duration()),
            lists_pb2.SagaStep(
                type="PaymentFailed",
                service="payment",
                time=at(5),
                since_previous=Duration(nanos=4_500_000),
                compensation=True,
                detail="too little",
            ),
        ]
        sagas = [
            lists_pb2.Saga(
                order_id=order.order_id,
                user_id=order.user_id,
                status=order.status,
                started_at=order.created_at,
                duration=Duration(seconds=1, nanos=250_000) if order.status else None,
                steps=steps,
            )
            for order in orders
        ]
        return lists_pb2.ListSagasResponse(sagas=sagas, next=following)

    async def GetSagaTable(
        self, request: lists_pb2.GetSagaTableRequest, context: Context
    ) -> lists_pb2.GetSagaTableResponse:
        row = lists_pb2.SagaRow(
            participant="payment",
            event="InventoryConfirmed",
            topic="inventory",
            command="ChargePayment",
            answers=["PaymentCompleted", "PaymentFailed"],
        )
        topics = [lists_pb2.Topic(name="inventory", partitions=6)]
        return lists_pb2.GetSagaTableResponse(mode="choreographed", rows=[row], topics=topics)

    async def GetDashboard(
        self, request: dashboard_pb2.GetDashboardRequest, context: Context
    ) -> dashboard_pb2.GetDashboardResponse:
        return dashboard_pb2.GetDashboardResponse(dashboard=self.dashboard)

    async def WatchDashboard(
        self, request: dashboard_pb2.WatchDashboardRequest, context: Context
    ) -> AsyncIterator[dashboard_pb2.WatchDashboardResponse]:
        first = dashboard_pb2.WatchDashboardResponse(dashboard=self.dashboard)
        async for response in self._follow("dashboard", first):
            yield response

    async def ListEvents(self, request: log_pb2.ListEventsRequest, context: Context) -> log_pb2.ListEventsResponse:
        wanted = request.filter
        found = [
            event
            for event in self.log
            if wanted.order_id in ("", event.key) and event.event.type_url.endswith(wanted.type)
        ]
        if wanted.order_id:
            found = [event for event in found if event.seq > request.after.seq]
        else:
            found = [event for event in reversed(found) if event.seq < (request.after.seq or 10**9)]
        following = log_pb2.EventPlace(seq=found[request.limit - 1].seq) if len(found) > request.limit else None
        return log_pb2.ListEventsResponse(events=found[: request.limit], next=following)

    async def WatchEvents(
        self, request: log_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[log_pb2.WatchEventsResponse]:
        after = request.after if request.HasField("after") else None
        self.followed_from.append(after)
        missed = [] if after is None else [event for event in self.log if event.seq > after]
        async for response in self._follow("events", log_pb2.WatchEventsResponse(events=missed, cursor=len(self.log))):
            yield response

    async def _follow(self, kind: str, first: Message) -> AsyncIterator[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.followers[kind].add(queue)
        self.opened[kind] += 1
        try:
            yield first
            while True:
                yield await queue.get()
        finally:
            self.followers[kind].discard(queue)


CANCELLED: dict[str, Any] = {
    "status": common_pb2.ORDER_STATUS_CANCELLED,
    "reason": common_pb2.REASON_OUT_OF_STOCK,
    "reason_detail": "product-1: 2 wanted, 1 available",
}
COMPLETED: dict[str, Any] = {
    "status": common_pb2.ORDER_STATUS_COMPLETED,
    "total": common_pb2.Money(amount_minor=2999, currency="USD"),
    "delivery": common_pb2.DELIVERY_STATUS_IN_TRANSIT,
}
