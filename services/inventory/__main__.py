"""The inventory service: `python -m services.inventory`."""

import grpc
from shop.common.v1.common_pb2 import OrderItem
from shop.inventory.v1 import service_pb2 as pb
from shop.inventory.v1.service_pb2_grpc import InventoryServiceServicer, add_InventoryServiceServicer_to_server

from services import catalogue
from services.catalogue import Catalogue
from services.engine.main import Service, main
from services.engine.rpc import Commands, Context
from services.engine.settings import EngineSettings
from services.inventory.decider import Reservation, Stock, describe, is_asked_for, participant


class Settings(EngineSettings, frozen=True, rename="upper", kw_only=True):
    """catalogue: path of a catalogue file, or '' for ours."""

    catalogue: str = ""


class InventoryServicer(InventoryServiceServicer):
    def __init__(self, catalogue: Catalogue, commands: Commands) -> None:
        self._catalogue = catalogue
        self._commands = commands

    async def ListProducts(self, request: pb.ListProductsRequest, context: Context) -> pb.ListProductsResponse:
        stock = await self._commands.read_all(Stock)
        products = (describe(product, stock.get(i, Stock())) for i, product in self._catalogue.items())
        return pb.ListProductsResponse(products=[product for product in products if is_asked_for(product, request)])

    async def GetProduct(self, request: pb.GetProductRequest, context: Context) -> pb.GetProductResponse:
        product = self._catalogue.get(request.product_id)
        if product is None:
            return await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no product {request.product_id}")
        stock = await self._commands.read(Stock, request.product_id)
        return pb.GetProductResponse(product=describe(product, stock))

    async def Restock(self, request: pb.RestockRequest, context: Context) -> pb.RestockResponse:
        return await self._commands.execute(request, f"restock/{request.request_id}", pb.RestockResponse, context)

    async def GetReservation(self, request: pb.GetReservationRequest, context: Context) -> pb.GetReservationResponse:
        state = await self._commands.read(Reservation, request.order_id)
        if state.status == "none":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"inventory never heard of order {request.order_id}")
        items = [OrderItem(product_id=i.product_id, quantity=i.quantity) for i in state.items]
        return pb.GetReservationResponse(order_id=request.order_id, status=state.status, items=items)


def build(settings: Settings) -> Service:
    products = catalogue.read(settings.catalogue)

    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_InventoryServiceServicer_to_server(InventoryServicer(products, commands), server)

    return Service(
        participant(products, settings.saga_mode),
        register,
        pb.DESCRIPTOR.services_by_name["InventoryService"].full_name,
    )


if __name__ == "__main__":
    main(Settings, build)
