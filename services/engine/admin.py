"""`shop.admin.v1.AdminService`: what an operator can ask of any service."""

import asyncio
import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from shop.admin.v1 import service_pb2 as pb
from shop.admin.v1.service_pb2_grpc import AdminServiceServicer

from services import __version__
from services.engine.faults import Fault, Faults
from services.engine.health import Health
from services.engine.mailbox import Mailbox
from services.engine.messages import Undecodable, decode
from services.engine.observer import KafkaObserver
from services.engine.participant import Participant, Reply
from services.engine.rebuild import rebuild, type_name_of
from services.engine.rebuild_read_model import NAMED_MAX, ReadModelRebuild, Refused
from services.engine.retry import TransientError
from services.engine.rpc import Context
from services.engine.settings import EngineSettings
from services.engine.store import DeadLetter, DeadLetterStatus, Store, StoredEvent

LIST_DEFAULT = 100
POSITIONS_WITHIN_S = 2.0

_STATUSES: dict[DeadLetterStatus, pb.DeadLetterStatus] = {
    "open": pb.DeadLetterStatus.DEAD_LETTER_STATUS_OPEN,
    "replayed": pb.DeadLetterStatus.DEAD_LETTER_STATUS_REPLAYED,
    "discarded": pb.DeadLetterStatus.DEAD_LETTER_STATUS_DISCARDED,
}
_ACTIONS = {"kill": pb.FaultAction.FAULT_ACTION_KILL, "stall": pb.FaultAction.FAULT_ACTION_STALL}


@dataclass
class Admin(AdminServiceServicer):
    """One process's parts, as an operator sees them. A service that is no read model has no `read_model_rebuild`."""

    settings: EngineSettings
    participant: Participant
    store: Store
    mailbox: Mailbox
    observer: KafkaObserver
    health: Health
    faults: Faults
    read_model_rebuild: ReadModelRebuild | None
    started_at_us: int

    def __post_init__(self) -> None:
        handled = {name: cls for name, (cls, _) in self.participant.consumes.items()}
        self._classes = handled | {
            type_name_of(cls): cls for cls in self.participant.folds if hasattr(cls, "DESCRIPTOR")
        }

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        try:
            positions = await asyncio.to_thread(self.observer.positions, POSITIONS_WITHIN_S)
        except TransientError:
            positions = []  # the broker is away: not_ready_because says so
        return pb.GetInfoResponse(
            service=self.participant.name,
            instance=self.settings.instance,
            version=__version__,
            saga_mode=self.settings.saga_mode,
            paused=self.mailbox.held,
            ready=self.health.ready,
            not_ready_because=self.health.not_ready_because,
            lag=sum(max(0, end - offset) for _, _, offset, end in positions),
            positions=[pb.Position(topic=t, partition=p, offset=o, end=e) for t, p, o, e in positions],
            faults_allowed=self.settings.faults,
            faults=[_fault(fault) for fault in self.faults.armed()],
            started_at=_timestamp(self.started_at_us),
            pid=os.getpid(),
        )

    async def Pause(self, request: pb.PauseRequest, context: Context) -> pb.PauseResponse:
        self.mailbox.hold(True)
        return pb.PauseResponse()

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:
        self.mailbox.hold(False)
        return pb.ResumeResponse()

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        limit = request.limit or LIST_DEFAULT
        events = await asyncio.to_thread(self.store.events, request.entity, request.after_seq, limit)
        return pb.ListEventsResponse(events=[self._stored_event(event) for event in events])

    async def GetEntity(self, request: pb.GetEntityRequest, context: Context) -> pb.GetEntityResponse:
        row = await asyncio.to_thread(self.store.entity, request.entity)
        if row is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no {request.entity}")
        return pb.GetEntityResponse(entity=request.entity, version=row.version, json=row.state)

    async def Rebuild(self, request: pb.RebuildRequest, context: Context) -> pb.RebuildResponse:
        if self.read_model_rebuild is not None:
            return await _rebuild_read_model(self.read_model_rebuild, request.repair, context)
        result = await asyncio.to_thread(rebuild, self.participant, self.store, request.repair)
        return pb.RebuildResponse(
            entities=result.entities,
            events=result.events,
            different=sorted(result.different)[:NAMED_MAX],
            different_count=len(result.different),
            repaired=request.repair and bool(result.different),
        )

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Context) -> pb.ListDeadLettersResponse:
        names: dict[pb.DeadLetterStatus, DeadLetterStatus] = {number: name for name, number in _STATUSES.items()}
        limit = request.limit or LIST_DEFAULT
        letters = await asyncio.to_thread(self.store.dead_letters, names.get(request.status), request.after_id, limit)
        return pb.ListDeadLettersResponse(dead_letters=[self._dead_letter(letter) for letter in letters])

    async def ReplayDeadLetter(
        self, request: pb.ReplayDeadLetterRequest, context: Context
    ) -> pb.ReplayDeadLetterResponse:
        letter = await self._letter(request.id, context)
        if letter.status == "replayed":
            return pb.ReplayDeadLetterResponse(status=_STATUSES["replayed"])
        if letter.status == "discarded":
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"dead letter {request.id} was discarded")
        record = letter.record
        if request.HasField("payload"):
            record = record.with_value(request.payload)
        loop = asyncio.get_running_loop()
        replayed: asyncio.Future[Any] = loop.create_future()
        try:
            message = decode(record.with_id(letter.id), self.participant)
        except Undecodable as error:
            return await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"it still cannot be decoded: {error}")
        if message is None:
            return await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the service does not know its type")
        message.replay = letter.id
        message.answer = lambda result: loop.call_soon_threadsafe(replayed.set_result, result) and None
        self.mailbox.put_command(message)
        result = await replayed
        if isinstance(result, Reply):
            return pb.ReplayDeadLetterResponse(status=_STATUSES["replayed"])
        return await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"it still cannot be decided: {result}")

    async def DiscardDeadLetter(
        self, request: pb.DiscardDeadLetterRequest, context: Context
    ) -> pb.DiscardDeadLetterResponse:
        await self._letter(request.id, context)
        await asyncio.to_thread(self.store.discard, request.id)
        letter = await self._letter(request.id, context)
        return pb.DiscardDeadLetterResponse(status=_STATUSES[letter.status])

    async def InjectFault(self, request: pb.InjectFaultRequest, context: Context) -> pb.InjectFaultResponse:
        if not self.settings.faults:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this service does not run with FAULTS=1")
        asked = request.fault
        action = "kill" if asked.action == pb.FaultAction.FAULT_ACTION_KILL else "stall"
        self.faults.arm(Fault(asked.point, action, asked.message_type, max(1, asked.nth), asked.stall_ms))
        return pb.InjectFaultResponse(faults=[_fault(fault) for fault in self.faults.armed()])

    async def ClearFaults(self, request: pb.ClearFaultsRequest, context: Context) -> pb.ClearFaultsResponse:
        self.faults.clear()
        return pb.ClearFaultsResponse()

    async def SetLogLevel(self, request: pb.SetLogLevelRequest, context: Context) -> pb.SetLogLevelResponse:
        logging.getLogger().setLevel(request.level)
        return pb.SetLogLevelResponse()

    async def _letter(self, letter_id: str, context: Context) -> DeadLetter:
        letter = await asyncio.to_thread(self.store.dead_letter, letter_id)
        if letter is None:
            return await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no dead letter {letter_id}")
        return letter

    def _stored_event(self, event: StoredEvent) -> pb.StoredEvent:
        return pb.StoredEvent(
            seq=event.seq,
            entity=event.entity,
            version=event.version,
            type=event.type,
            message_id=event.message_id,
            cause_id=event.cause_id,
            topic=event.topic or "",
            time=_timestamp(event.time_us),
            published_at=None if event.published_at_us is None else _timestamp(event.published_at_us),
            json=self._json(event.type, event.payload),
            payload=event.payload,
            key=event.key,
        )

    def _dead_letter(self, letter: DeadLetter) -> pb.DeadLetter:
        record = letter.record
        return pb.DeadLetter(
            id=letter.id,
            status=_STATUSES[letter.status],
            cause=letter.cause,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            headers=record.headers,
            payload=record.value,
            time=_timestamp(letter.time_us),
            json=self._json(record.headers.get("ce_type", b"").decode("utf-8", "replace"), record.value),
        )

    def _json(self, type_name: str, payload: bytes) -> str:
        """A message of a known type as JSON; '' where it cannot be decoded."""
        cls = self._classes.get(type_name)
        if cls is None:
            return ""
        try:
            return json_format.MessageToJson(cls.FromString(payload), indent=None)
        except (DecodeError, json_format.SerializeToJsonError):
            return ""


async def _rebuild_read_model(rebuild: ReadModelRebuild, repair: bool, context: Context) -> pb.RebuildResponse:
    cancelled = threading.Event()
    try:
        result = await asyncio.to_thread(rebuild, repair, cancelled)
    except Refused as error:
        return await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    except TransientError as error:
        return await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    except TimeoutError as error:
        return await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
    finally:
        cancelled.set()  # the caller may have given up
    return pb.RebuildResponse(
        entities=result.entities,
        events=result.records,
        different=result.different,
        different_count=result.different_count,
        repaired=result.repaired,
    )


def _timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)


def _fault(fault: Fault) -> pb.Fault:
    return pb.Fault(
        point=fault.point,
        action=_ACTIONS[fault.action],
        message_type=fault.message_type,
        nth=fault.nth,
        stall_ms=fault.stall_ms,
    )
