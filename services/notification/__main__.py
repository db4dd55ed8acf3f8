"""The notification service: `python -m services.notification`."""

import grpc
from shop.notification.v1 import service_pb2 as pb
from shop.notification.v1.service_pb2_grpc import (
    NotificationServiceServicer,
    add_NotificationServiceServicer_to_server,
)

from services.engine.main import Service, main
from services.engine.rpc import Commands, Context
from services.engine.settings import EngineSettings
from services.notification.decider import Told, participant


class NotificationServicer(NotificationServiceServicer):
    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        told = await self._commands.read(Told, request.order_id)
        sent = [pb.Notification(about=about, text=text) for about, text in sorted(told.texts.items())]
        return pb.ListNotificationsResponse(notifications=sent)


def build(_: EngineSettings) -> Service:
    def register(server: grpc.aio.Server, commands: Commands) -> None:
        add_NotificationServiceServicer_to_server(NotificationServicer(commands), server)

    return Service(
        participant(),
        register,
        pb.DESCRIPTOR.services_by_name["NotificationService"].full_name,
    )


if __name__ == "__main__":
    main(EngineSettings, build)
