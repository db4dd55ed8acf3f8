"""The order service: `python -m services.order`."""

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
from services.engine.rpc import Asked, Commands, Context, Decided, traceparent
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
        trace, now_us = traceparent(context), time.time_ns() // 1000
        for order in request.orders:
            order.accepted_us = now_us
        asked = [Asked(order, order.order_id, order.traceparent or trace) for order in request.orders]
        return pb.PlaceOrdersResponse(results=map(_result, await self._commands.decide_all(asked)))

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


def _result(decided: Decided) -> pb.PlaceOrderResult:
    match decided:
        case Reply():
            assert isinstance(decided.body, pb.PlaceOrderResponse)
            return pb.PlaceOrderResult(accepted=decided.body)
        case Refusal():
            refused = pb.Refusal(code=decided.code, message=decided.message, field=decided.field)
        case MailboxFull():
            refused = pb.Refusal(code=RESOURCE_EXHAUSTED, message=str(decided))
        case Exception():
            refused = pb.Refusal(code=INTERNAL, message=str(decided))
    return pb.PlaceOrderResult(refused=refused)


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
