"""The status service: `python -m services.status`."""

from collections.abc import Mapping

import grpc
from shop.status.v1 import service_pb2 as pb
from shop.status.v1.service_pb2_grpc import add_StatusServiceServicer_to_server

from services.engine.main import Service, main
from services.engine.participant import State
from services.engine.rpc import Commands
from services.engine.settings import EngineSettings
from services.status.bell import Bell
from services.status.fold import participant
from services.status.metrics import OPEN
from services.status.servicer import StatusServicer
from services.status.watch import Watchers


def build(given: EngineSettings) -> Service:
    watchers, bell = Watchers(), Bell()

    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_StatusServiceServicer_to_server(StatusServicer(watchers, bell, commands, given.saga_mode), server)

    def on_change(states: Mapping[str, State]) -> None:
        watchers.on_change(states)
        bell.ring()

    name = pb.DESCRIPTOR.services_by_name["StatusService"].full_name
    return Service(participant(), register, name, on_change, gauges=[OPEN])


if __name__ == "__main__":
    main(EngineSettings, build)
