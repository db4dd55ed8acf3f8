"""The status service: `python -m services.status`."""

from collections.abc import Collection, Mapping

import grpc
from shop.status.v1 import service_pb2 as pb
from shop.status.v1.service_pb2_grpc import add_StatusServiceServicer_to_server

from services.engine.main import Service, main
from services.engine.participant import State
from services.engine.rpc import Commands
from services.engine.settings import EngineSettings
from services.status.bell import Bell
from services.status.fold import StatusState, participant
from services.status.metrics import OPEN
from services.status.servicer import StatusServicer
from services.status.watch import Watchers


def build(given: EngineSettings) -> Service:
    watchers, bell = Watchers(), Bell()

    def register(server: grpc.aio.Server, commands: Commands) -> None:
        watchers.read_from(lambda order_id: commands.read(StatusState, order_id))
        add_StatusServiceServicer_to_server(StatusServicer(watchers, bell, commands, given.saga_mode), server)

    def on_change(states: Mapping[str, State]) -> None:
        watchers.on_change(states)
        bell.ring()

    def on_change_elsewhere(entities: Collection[str] | None) -> None:
        watchers.on_change_elsewhere(entities)
        bell.ring()

    name = pb.DESCRIPTOR.services_by_name["StatusService"].full_name
    return Service(participant(), register, name, on_change, gauges=[OPEN], on_change_elsewhere=on_change_elsewhere)


if __name__ == "__main__":
    main(EngineSettings, build)
