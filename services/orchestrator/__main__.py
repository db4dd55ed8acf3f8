"""The orchestrator: `python -m services.orchestrator`. It runs in orchestrated mode only."""

import sys

import grpc
from shop.orchestrator.v1 import service_pb2 as pb
from shop.orchestrator.v1.service_pb2_grpc import OrchestratorServiceServicer, add_OrchestratorServiceServicer_to_server

from services.engine.main import Service, main
from services.engine.rpc import Commands, Context
from services.engine.settings import EngineSettings
from services.orchestrator.decider import SagaState, describe, participant


class OrchestratorServicer(OrchestratorServiceServicer):
    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def GetSaga(self, request: pb.GetSagaRequest, context: Context) -> pb.GetSagaResponse:
        state = await self._commands.read(SagaState, request.order_id)
        if not state.steps:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"the orchestrator never heard of order {request.order_id}")
        return describe(request.order_id, state)


def build(settings: EngineSettings) -> Service:
    if settings.saga_mode != "orchestrated":
        sys.exit("orchestrator: it has no part in a choreographed saga; set SAGA_MODE=orchestrated")

    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_OrchestratorServiceServicer_to_server(OrchestratorServicer(commands), server)

    return Service(
        participant(),
        register,
        pb.DESCRIPTOR.services_by_name["OrchestratorService"].full_name,
    )


if __name__ == "__main__":
    main(EngineSettings, build)
