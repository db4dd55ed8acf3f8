"""The order service: `python -m services.order`."""

import asyncio
import time
from typing import Annotated

import grpc
from google.rpc.code_pb2 import INTERNAL, RESOURCE_EXHAUSTED
from msgspec import Meta
from shop.common.v1.common_pb2 import Order
from shop.order.v1 import service_pb2 as pb
from shop.order.v1.service_pb2_grpc import OrderServiceServicer, add_OrderServiceServicer_to_server

from services import catalogue
from services.engine.mailbox import MailboxFull
from services.engine.main import Service, main
from services.engine.participant import Refusal, Reply
from services.engine.rpc import Commands, Context, traceparent
from services.engine.settings import EngineSettings
from services.order import metrics
from services.order.decider import OrderState, Policy, participant


class Settings(EngineSettings, frozen=True, rename="upper", kw_only=True):
    """catalogue: path of a catalogue file, or '' for ours; order_deadline_s: seconds until order asks to stop."""

    catalogue: str = ""
    order_deadline_s: Annotated[float, Meta(gt=0)] = 30.0


class OrderServicer(OrderServiceServicer):
    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def PlaceOrder(self, request: pb.PlaceOrderRequest, context: Context) -> pb.PlaceOrderResponse:
        request.accepted_us = time.time_ns() // 1000
        return await self._commands.execute(request, request.order_id, pb.PlaceOrderResponse, context)

    async def PlaceOrders(self, request: pb.PlaceOrdersRequest, context: Context) -> pb.PlaceOrdersResponse:
        trace = traceparent(context)
        results = await asyncio.gather(*(self._place(order, trace) for order in request.orders))
        return pb.PlaceOrdersResponse(results=results)

    async def _place(self, order: pb.PlaceOrderRequest, trace: str) -> pb.PlaceOrderResult:
        order.accepted_us = time.time_ns() // 1000
        try:
            result = await self._commands.decide(order, order.order_id, order.traceparent or trace)
        except MailboxFull as error:
            result = Refusal(RESOURCE_EXHAUSTED, str(error))
        match result:
            case Reply():
                assert isinstance(result.body, pb.PlaceOrderResponse)
                return pb.PlaceOrderResult(accepted=result.body)
            case Refusal():
                return pb.PlaceOrderResult(
                    refused=pb.Refusal(code=result.code, message=result.message, field=result.field)
                )
            case Exception():
                return pb.PlaceOrderResult(refused=pb.Refusal(code=INTERNAL, message=str(result)))

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        return await self._commands.execute(request, request.order_id, pb.CancelOrderResponse, context)

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        state = await self._commands.read(OrderState, request.order_id)
        if not state.order:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no order {request.order_id}")
        now = state.outcome
        return pb.GetOrderResponse(
            order=Order.FromString(state.order), status=now.status, reason=now.reason, detail=now.detail
        )


def build(settings: Settings) -> Service:
    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_OrderServiceServicer_to_server(OrderServicer(commands), server)

    return Service(
        participant(Policy(settings.order_deadline_s), catalogue.read(settings.catalogue)),
        register,
        pb.DESCRIPTOR.services_by_name["OrderService"].full_name,
        on_events=metrics.on_events,
    )


if __name__ == "__main__":
    main(Settings, build)
