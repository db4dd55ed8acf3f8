"""gRPC for the engine: field rules checked at every entry, commands through the loop, refusals as rich statuses."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import grpc
import protovalidate
from google.protobuf.any_pb2 import Any as AnyProto
from google.protobuf.message import Message as Proto
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.engine.batch import decode_state
from services.engine.mailbox import Mailbox, MailboxFull
from services.engine.messages import Message, describe, field_path, type_name
from services.engine.participant import Refusal, Reply, S, key
from services.engine.store import Logged, Store

P = TypeVar("P", bound=Proto)
Context = grpc.aio.ServicerContext[Any, Any]


Decided = Reply | Refusal | Exception


class Asked(NamedTuple):
    """A command of an RPC: `cause_id` is what the ids of the events that it causes are made of."""

    command: Proto
    cause_id: str
    traceparent: str


class _Waiting:
    """Commands that came together: how many are not decided yet, and what was decided of each."""

    __slots__ = ("all_here", "decided", "missing")

    def __init__(self, all_here: asyncio.Future[None], decided: list[Decided]) -> None:
        self.all_here = all_here
        self.decided = decided
        self.missing = 0


class Found(NamedTuple, Generic[S]):
    """An entity as an index gives it."""

    position: str
    id: str
    state: S


class Commands:
    """What a servicer needs of the engine: commands through its loop, and reads beside it."""

    def __init__(self, mailbox: Mailbox, store: Store) -> None:
        self._mailbox = mailbox
        self._store = store
        self._answered: deque[tuple[_Waiting, int, Decided]] = deque()
        self._told = False

    async def decide(self, command: Proto, cause_id: str, traceparent: str) -> Decided:
        """Waits until the command's transaction has committed; MailboxFull where it was not taken."""
        return (await self.decide_all([Asked(command, cause_id, traceparent)]))[0]

    async def decide_all(self, asked: Sequence[Asked]) -> list[Decided]:
        """Waits until the transactions of all have committed; MailboxFull for each that was not taken."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(loop.create_future(), [MailboxFull()] * len(asked))
        messages = [
            Message(cause_id, command, type_name(command), traceparent, answer=partial(self._answer, loop, waiting, n))
            for n, (command, cause_id, traceparent) in enumerate(asked)
        ]
        # Until this coroutine waits, no answer is handed over: they are, on this thread.
        waiting.missing = self._mailbox.put_commands(messages)
        if waiting.missing:
            await waiting.all_here
        return waiting.decided

    def _answer(self, loop: asyncio.AbstractEventLoop, waiting: _Waiting, n: int, decided: Decided) -> None:
        """On the thread of the engine's loop: one wake-up for all answers of a batch, or of several."""
        self._answered.append((waiting, n, decided))
        if not self._told:
            self._told = True
            loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._told = False  # before looking: what comes from now on tells again
        while self._answered:
            waiting, n, decided = self._answered.popleft()
            waiting.decided[n] = decided
            waiting.missing -= 1
            if not waiting.missing and not waiting.all_here.done():  # the caller may have given up
                waiting.all_here.set_result(None)

    async def execute(self, command: Proto, cause_id: str, reply: type[P], context: Context) -> P:
        """The reply to a command; ends the RPC with a status where it is refused."""
        result = await self.decide(command, cause_id, traceparent(context))
        match result:
            case MailboxFull():
                return await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(result))
            case Reply():
                assert isinstance(result.body, reply)
                return result.body
            case Refusal():
                return await refuse(context, result)
            case Exception():
                return await context.abort(grpc.StatusCode.INTERNAL, f"{type(result).__name__}: {result}")

    async def read(self, kind: type[S], entity_id: str) -> S:
        """An entity's state as it was last committed; the default one where there is none."""
        row = await asyncio.to_thread(self._store.entity, key(kind, entity_id))
        return kind() if row is None else decode_state(kind, row.state)

    async def read_all(self, kind: type[S], after: str = "", limit: int | None = None) -> dict[str, S]:
        """The entities of a kind by id, in the order of their ids; those behind `after`, and all without `limit`."""
        behind = key(kind, after) if after else ""
        rows = await asyncio.to_thread(self._store.entities, f"{kind.kind}/", behind, limit)
        return {entity.partition("/")[2]: decode_state(kind, row.state) for entity, row in rows.items()}

    async def page(
        self,
        kind: type[S],
        index: str,
        bucket: str,
        after: tuple[str, str] | None,
        limit: int,
        *,
        descending: bool = False,
    ) -> list[Found[S]]:
        """Entities of a kind as a read model's index has them, behind `after`: a position and an id."""
        behind = None if after is None else (after[0], key(kind, after[1]))
        page = partial(self._store.page, index, bucket, behind, limit, descending=descending)
        rows = await asyncio.to_thread(page)
        return [
            Found(position, entity.partition("/")[2], decode_state(kind, row.state)) for position, entity, row in rows
        ]

    async def log(
        self, key: str, type_name: str, after_seq: int | None, limit: int, *, descending: bool = False
    ) -> list[Logged]:
        """The event log of a read model: see `Store.log`."""
        log = partial(self._store.log, key, type_name, after_seq, limit, descending=descending)
        return await asyncio.to_thread(log)


current_traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""Of the span of the RPC that is being answered, where traces are switched on."""


def traceparent(context: Context) -> str:
    """The W3C traceparent of the RPC's own span, or else the caller's, or ''."""
    ours = current_traceparent.get()
    if ours:
        return ours
    for name, value in context.invocation_metadata() or ():
        if name == "traceparent":
            return value.decode() if isinstance(value, bytes) else value
    return ""


async def refuse(context: Context, refusal: Refusal) -> Any:
    """Ends the RPC; a field at fault goes along as google.rpc.BadRequest."""
    violations = [(refusal.field, refusal.message)] if refusal.field else []
    await _abort(context, refusal.code, refusal.message, violations)


async def _abort(context: Context, code: int, message: str, violations: list[tuple[str, str]]) -> None:
    status = status_pb2.Status(code=code, message=message)
    if violations:
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=text) for field, text in violations
        ]
        detail = AnyProto()
        detail.Pack(error_details_pb2.BadRequest(field_violations=fields))
        status.details.append(detail)
    rich: Any = rpc_status.to_status(status)  # pyright: ignore[reportUnknownMemberType]
    await context.abort(rich.code, rich.details, rich.trailing_metadata)


async def _check(request: Proto, context: Context) -> None:
    violations = protovalidate.collect_violations(request)
    if violations:
        fields = [(field_path(violation), violation.proto.message) for violation in violations]
        await _abort(context, grpc.StatusCode.INVALID_ARGUMENT.value[0], describe(violations), fields)


class Validation(grpc.aio.ServerInterceptor):
    """Checks the field rules of every request message before its servicer sees it."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        handler = await continuation(handler_call_details)
        if handler and handler.unary_unary:
            return handler._replace(unary_unary=_checked_unary(handler.unary_unary))
        if handler and handler.unary_stream:
            return handler._replace(unary_stream=_checked_unary_stream(handler.unary_stream))
        if handler and handler.stream_stream:
            return handler._replace(stream_stream=_checked_stream(handler.stream_stream))
        return handler


def _checked_unary(servicer: Callable[[Proto, Context], Awaitable[Proto]]) -> Any:
    async def checked(request: Proto, context: Context) -> Proto:
        await _check(request, context)
        return await servicer(request, context)

    return checked


def _checked_unary_stream(servicer: Callable[[Proto, Context], AsyncIterator[Proto]]) -> Any:
    async def checked(request: Proto, context: Context) -> AsyncIterator[Proto]:
        await _check(request, context)
        async for response in servicer(request, context):
            yield response

    return checked


def _checked_stream(servicer: Callable[[AsyncIterator[Proto], Context], AsyncIterator[Proto]]) -> Any:
    async def requests(incoming: AsyncIterator[Proto], context: Context) -> AsyncIterator[Proto]:
        async for request in incoming:
            await _check(request, context)
            yield request

    async def checked(incoming: AsyncIterator[Proto], context: Context) -> AsyncIterator[Proto]:
        async for response in servicer(requests(incoming, context), context):
            yield response

    return checked
