"""The status service: `python -m services.status`."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from shop.status.v1 import service_pb2 as pb
from shop.status.v1.service_pb2_grpc import StatusServiceServicer, add_StatusServiceServicer_to_server

from services.engine.main import Service, main
from services.engine.rpc import Commands, Context
from services.engine.settings import EngineSettings
from services.status.fold import StatusState, document, participant
from services.status.watch import Stream, Watchers


class StatusServicer(StatusServiceServicer):
    def __init__(self, watchers: Watchers, commands: Commands) -> None:
        self._watchers = watchers
        self._commands = commands

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
            state = await self._commands.read(StatusState, order_id)
            if state.seen:
                stream.offer(order_id, state)
            else:
                stream.tell_unknown(order_id)


def build(_: EngineSettings) -> Service:
    watchers = Watchers()

    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_StatusServiceServicer_to_server(StatusServicer(watchers, commands), server)

    return Service(
        participant(),
        register,
        pb.DESCRIPTOR.services_by_name["StatusService"].full_name,
        watchers.on_change,
    )


if __name__ == "__main__":
    main(EngineSettings, build)
