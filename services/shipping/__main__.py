"""The shipping service: `python -m services.shipping`."""

from typing import Annotated

import grpc
from msgspec import Meta
from shop.shipping.v1 import service_pb2 as pb
from shop.shipping.v1.service_pb2_grpc import ShippingServiceServicer, add_ShippingServiceServicer_to_server

from services.engine.main import Service, main
from services.engine.rpc import Commands, Context
from services.engine.settings import EngineSettings
from services.shipping.decider import Policy, Shipment, participant


class Settings(EngineSettings, frozen=True, rename="upper", kw_only=True):
    """delivery_step_s: seconds from one step of a delivery to the next; parcel_units_max: pieces in one parcel."""

    delivery_step_s: Annotated[float, Meta(gt=0)] = 2.0
    parcel_units_max: Annotated[int, Meta(ge=1)] = 20


class ShippingServicer(ShippingServiceServicer):
    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def GetShipment(self, request: pb.GetShipmentRequest, context: Context) -> pb.GetShipmentResponse:
        shipment = await self._commands.read(Shipment, request.order_id)
        if shipment.status == "none":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"shipping never heard of order {request.order_id}")
        return pb.GetShipmentResponse(
            order_id=request.order_id,
            status=shipment.status,
            tracking_number=shipment.tracking_number,
            delivery=shipment.delivery or None,
        )


def build(settings: Settings) -> Service:
    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_ShippingServiceServicer_to_server(ShippingServicer(commands), server)

    return Service(
        participant(Policy(settings.delivery_step_s, settings.parcel_units_max), settings.saga_mode),
        register,
        pb.DESCRIPTOR.services_by_name["ShippingService"].full_name,
    )


if __name__ == "__main__":
    main(Settings, build)
