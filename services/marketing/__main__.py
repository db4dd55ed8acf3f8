"""The marketing service: `python -m services.marketing`."""

import grpc
from shop.marketing.v1 import service_pb2 as pb
from shop.marketing.v1.service_pb2_grpc import MarketingServiceServicer, add_MarketingServiceServicer_to_server

from services import catalogue
from services.catalogue import Catalogue
from services.engine.main import Service, main
from services.engine.rpc import Commands, Context
from services.engine.settings import EngineSettings
from services.marketing import figures
from services.marketing.fold import (
    EVERYBODY,
    LIFETIME,
    AudienceState,
    CustomerState,
    DayState,
    ProductState,
    lifetime_position,
    participant,
)

DEFAULT_LIMIT = 50


class Settings(EngineSettings, frozen=True, rename="upper", kw_only=True):
    """catalogue: path of a catalogue file, or '' for ours: names of products, and the default currency."""

    catalogue: str = ""


class MarketingServicer(MarketingServiceServicer):
    def __init__(self, catalogue: Catalogue, commands: Commands) -> None:
        self._catalogue = catalogue
        self._currency = next(iter(catalogue.values())).currency
        self._commands = commands

    async def GetOverview(self, request: pb.GetOverviewRequest, context: Context) -> pb.GetOverviewResponse:
        days = await self._commands.read_all(DayState)
        audience = await self._commands.read(AudienceState, EVERYBODY)
        return figures.overview(days.values(), audience.customers, request.currency or self._currency)

    async def ListLifetimeValues(
        self, request: pb.ListLifetimeValuesRequest, context: Context
    ) -> pb.ListLifetimeValuesResponse:
        currency, limit, after = request.currency or self._currency, request.limit or DEFAULT_LIMIT, None
        if request.HasField("after"):
            after = lifetime_position(request.after.amount_minor), request.after.user_id
        found = await self._commands.page(CustomerState, LIFETIME, currency, after, limit + 1)
        customers = [(each.id, each.state) for each in found]
        return figures.lifetime_values(customers, currency, limit)

    async def ListPopularity(self, request: pb.ListPopularityRequest, context: Context) -> pb.ListPopularityResponse:
        products = await self._commands.read_all(ProductState)
        currency, limit = request.currency or self._currency, request.limit or DEFAULT_LIMIT
        return figures.popularity(products, self._catalogue, currency, limit)

    async def ListDailySales(self, request: pb.ListDailySalesRequest, context: Context) -> pb.ListDailySalesResponse:
        days = await self._commands.read_all(DayState)
        currency = request.currency or self._currency
        return figures.daily_sales(days, currency, request.first_day, request.last_day)


def build(settings: Settings) -> Service:
    products = catalogue.read(settings.catalogue)

    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_MarketingServiceServicer_to_server(MarketingServicer(products, commands), server)

    return Service(
        participant(),
        register,
        pb.DESCRIPTOR.services_by_name["MarketingService"].full_name,
    )


if __name__ == "__main__":
    main(Settings, build)
