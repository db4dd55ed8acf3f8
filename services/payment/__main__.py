"""The payment service: `python -m services.payment`."""

from typing import Annotated

import grpc
from msgspec import Meta
from shop.common.v1.common_pb2 import Money
from shop.payment.v1 import service_pb2 as pb
from shop.payment.v1.service_pb2_grpc import PaymentServiceServicer, add_PaymentServiceServicer_to_server

from services.engine.main import Service, main
from services.engine.rpc import Commands, Context
from services.engine.settings import EngineSettings
from services.payment.decider import Account, Charge, Opening, describe, participant

LIST_LIMIT = 100


class Settings(EngineSettings, frozen=True, rename="upper", kw_only=True):
    """What an account opens with, in minor units of `account_currency` (ISO 4217)."""

    opening_balance_minor: Annotated[int, Meta(ge=0, le=10**12)] = 100_000
    account_currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"


class PaymentServicer(PaymentServiceServicer):
    def __init__(self, opening: Opening, commands: Commands) -> None:
        self._opening = opening
        self._commands = commands

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:
        account = await self._commands.read(Account, request.user_id)
        if not account.opened:
            account = Account(False, self._opening.balance_minor, self._opening.currency)
        return pb.GetAccountResponse(account=describe(request.user_id, account))

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        accounts = await self._commands.read_all(Account, request.after_user_id, request.limit or LIST_LIMIT)
        return pb.ListAccountsResponse(accounts=[describe(user_id, each) for user_id, each in accounts.items()])

    async def Deposit(self, request: pb.DepositRequest, context: Context) -> pb.DepositResponse:
        return await self._commands.execute(request, f"deposit/{request.request_id}", pb.DepositResponse, context)

    async def GetCharge(self, request: pb.GetChargeRequest, context: Context) -> pb.GetChargeResponse:
        charge = await self._commands.read(Charge, request.order_id)
        if charge.status == "none":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"payment never heard of order {request.order_id}")
        amount = Money(amount_minor=charge.amount_minor, currency=charge.currency) if charge.currency else None
        return pb.GetChargeResponse(
            order_id=request.order_id, status=charge.status, user_id=charge.user_id, amount=amount
        )


def build(settings: Settings) -> Service:
    opening = Opening(settings.opening_balance_minor, settings.account_currency)

    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_PaymentServiceServicer_to_server(PaymentServicer(opening, commands), server)

    return Service(
        participant(opening, settings.saga_mode),
        register,
        pb.DESCRIPTOR.services_by_name["PaymentService"].full_name,
    )


if __name__ == "__main__":
    main(Settings, build)
