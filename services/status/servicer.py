"""The RPCs of the status service: all of them read, none changes anything."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import grpc
from shop.common.v1.common_pb2 import OrderStatus
from shop.status.v1 import dashboard_pb2, lists_pb2, log_pb2
from shop.status.v1 import service_pb2 as pb
from shop.status.v1.service_pb2_grpc import StatusServiceServicer

from services import saga, topics
from services.engine.participant import Refusal
from services.engine.retry import TransientError
from services.engine.rpc import Commands, Context, refuse
from services.saga import Mode
from services.status import events, listing
from services.status.bell import Bell, rung
from services.status.dashboard import dashboard
from services.status.documents import document, saga_of, summary
from services.status.figures import FiguresState
from services.status.fold import StatusState
from services.status.watch import READ_AGAIN_S, Stream, Watchers

DASHBOARD_EVERY_S = 1.0
"""From one dashboard to the next, at least."""
LOOK_EVERY_S = 2.0
"""From one look at the figures to the next, at most: another replica may have changed them."""


class StatusServicer(StatusServiceServicer):
    def __init__(self, watchers: Watchers, bell: Bell, commands: Commands, mode: Mode) -> None:
        self._watchers = watchers
        self._bell = bell
        self._commands = commands
        self._mode: Mode = mode

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        state = await self._commands.read(StatusState, request.order_id)
        if not state.seen:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no event of order {request.order_id} has been seen")
        return pb.GetStatusResponse(document=document(state))

    async def Watch(
        self, request_iterator: AsyncIterator[pb.WatchRequest], context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        stream = self._watchers.open()
        reading = asyncio.create_task(self._read(request_iterator, stream))
        reading.add_done_callback(partial(_pass_on, stream))
        try:
            async for order_id, state in stream.changes():
                found = None if state is None else document(state)
                yield pb.WatchResponse(order_id=order_id, document=found)
        finally:
            reading.cancel()
            self._watchers.close(stream)

    async def _read(self, requests: AsyncIterator[pb.WatchRequest], stream: Stream) -> None:
        async for request in requests:
            if request.HasField("unsubscribe"):
                stream.unsubscribe(request.unsubscribe.order_id)
                continue
            order_id, since = request.subscribe.order_id, request.subscribe.since
            # Subscribed before it reads, so that no change falls between.
            stream.subscribe(order_id, since)
            state = await self._newest(order_id)
            if state.seen:
                stream.offer(order_id, state)
            else:
                stream.tell_unknown(order_id)

    async def _newest(self, order_id: str) -> StatusState:
        """As soon as the database answers: many orders share a stream, and it must not go deaf for all of them."""
        while True:
            try:
                return await self._commands.read(StatusState, order_id)
            except TransientError:
                await asyncio.sleep(READ_AGAIN_S)

    async def ListOrders(self, request: lists_pb2.ListOrdersRequest, context: Context) -> lists_pb2.ListOrdersResponse:
        after = request.after if request.HasField("after") else None
        page = await listing.page_of(self._commands, request.filter, after, request.limit)
        return lists_pb2.ListOrdersResponse(orders=[summary(order.state) for order in page.orders], next=page.next)

    async def ListSagas(self, request: lists_pb2.ListSagasRequest, context: Context) -> lists_pb2.ListSagasResponse:
        after = request.after if request.HasField("after") else None
        page = await listing.page_of(self._commands, request.filter, after, request.limit)
        return lists_pb2.ListSagasResponse(sagas=[saga_of(order.state) for order in page.orders], next=page.next)

    async def GetSagaTable(
        self, request: lists_pb2.GetSagaTableRequest, context: Context
    ) -> lists_pb2.GetSagaTableResponse:
        sent = saga.ORCHESTRATED if self._mode == "orchestrated" else ()
        return lists_pb2.GetSagaTableResponse(
            mode=self._mode,
            rows=[
                lists_pb2.SagaRow(
                    participant=row.participant,
                    event=row.event.DESCRIPTOR.name,
                    topic=saga.TOPIC_OF[row.event],
                    command=row.command.DESCRIPTOR.name,
                    answers=[answer.DESCRIPTOR.name for answer in row.answers],
                    command_topic=saga.commands_topic(row.participant) if row.participant in sent else "",
                )
                for row in saga.SAGA
            ],
            topics=[lists_pb2.Topic(name=topic.name, partitions=topic.partitions) for topic in topics.TOPICS],
        )

    async def GetDashboard(
        self, request: dashboard_pb2.GetDashboardRequest, context: Context
    ) -> dashboard_pb2.GetDashboardResponse:
        return dashboard_pb2.GetDashboardResponse(dashboard=await self._dashboard())

    async def WatchDashboard(
        self, request: dashboard_pb2.WatchDashboardRequest, context: Context
    ) -> AsyncIterator[dashboard_pb2.WatchDashboardResponse]:
        last: dashboard_pb2.Dashboard | None = None
        with self._bell.heard() as event:
            while True:
                now = await self._dashboard()
                if now != last:
                    yield dashboard_pb2.WatchDashboardResponse(dashboard=now)
                last = now
                await asyncio.sleep(DASHBOARD_EVERY_S)
                await rung(event, LOOK_EVERY_S)

    async def _dashboard(self) -> dashboard_pb2.Dashboard:
        figures = await self._commands.read_all(FiguresState)
        counts: dict[OrderStatus, int]
        counts, partial = await listing.count_open(self._commands)
        return dashboard(figures.values(), counts, partial)

    async def ListEvents(self, request: log_pb2.ListEventsRequest, context: Context) -> log_pb2.ListEventsResponse:
        type_name = events.type_named(request.filter.type)
        if isinstance(type_name, Refusal):
            return await refuse(context, type_name)
        after = request.after if request.HasField("after") else None
        page = await events.page_of(self._commands, request.filter.order_id, type_name, after, request.limit)
        return log_pb2.ListEventsResponse(events=[events.shown(row) for row in page.events], next=page.next)

    async def WatchEvents(
        self, request: log_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[log_pb2.WatchEventsResponse]:
        after = request.after if request.HasField("after") else None
        async for news in events.follow(self._commands, self._bell, after):
            yield log_pb2.WatchEventsResponse(
                events=[events.shown(row) for row in news.rows], cursor=news.cursor, skipped=news.skipped
            )


def _pass_on(stream: Stream, reading: asyncio.Task[None]) -> None:
    if not reading.cancelled() and (error := reading.exception()) is not None:
        stream.fail(error)
