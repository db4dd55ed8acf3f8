"""What the console does for an operator: how every process is, dead letters, faults. There with CONSOLE_ADMIN=1 only.

For the browser on the same machine: a call that comes from another site's page, or by another name than this
machine's own, is refused.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel
from shop.admin.v1 import service_pb2 as pb
from starlette.requests import Request

from gateway import console_payloads, events, problems
from gateway.console_desk import Desk
from gateway.models import Money, Product, ProductId
from gateway.openapi import UNAVAILABLE, Case, failures
from gateway.problems import ProblemError, invalid
from gateway.state import gateway_of
from gateway.views import time_text

Point = Literal["before-transaction", "after-commit", "amid-publish", "before-mark", "before-offset-commit"]
Action = Literal["kill", "stall"]
LetterStatus = Literal["open", "replayed", "discarded"]

_STATUSES: dict[LetterStatus, pb.DeadLetterStatus] = {
    "open": pb.DEAD_LETTER_STATUS_OPEN,
    "replayed": pb.DEAD_LETTER_STATUS_REPLAYED,
    "discarded": pb.DEAD_LETTER_STATUS_DISCARDED,
}
_STATUS_NAMES = {number: name for name, number in _STATUSES.items()}
_ACTIONS: dict[Action, pb.FaultAction] = {"kill": pb.FAULT_ACTION_KILL, "stall": pb.FAULT_ACTION_STALL}
_ACTION_NAMES = {number: name for name, number in _ACTIONS.items()}


def _from_here(request: Request) -> None:
    """Neither another site's page (which a browser tells) nor a name that somebody else has pointed at this machine."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not _is_here(host) or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(problems.FORBIDDEN, "Operate from a page of this gateway, by http://127.0.0.1 or localhost.")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(_from_here)])


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True, extra="forbid")


class ArmedFault(_Model):
    point: str
    action: str
    message_type: str | None
    nth: int
    stall_ms: int


class Process(_Model):
    """A process of the shop; what nobody could tell is null."""

    name: str
    reachable: bool
    ready: bool
    paused: bool
    problem: str | None = Field(description="Why it is not reachable, or not ready.")
    mode: str | None
    version: str | None
    lag: int | None = Field(description="Messages that it has not handled yet.")
    pid: int | None
    started_at: str | None
    faults_allowed: bool
    faults: list[ArmedFault]


class DeadLetter(_Model):
    service: str
    id: str
    status: str
    cause: str
    type: str
    time: str
    order_id: str | None
    place: str | None = Field(description="topic/partition/offset; null for a timer.")
    headers: dict[str, str]
    document: JsonValue = Field(description="null where the payload cannot be decoded.")
    draft: JsonValue = Field(description="What to begin a correction with.")


class Silent(_Model):
    service: str
    problem: str


class DeadLetters(_Model):
    items: list[DeadLetter]
    silent: list[Silent] = Field(description="Services that did not answer.")


class LetterChoice(_Model):
    service: str
    id: str = Field(min_length=1)


class Replay(LetterChoice):
    document: JsonValue = Field(default=None, description="Handled in place of the stored payload, if not null.")


class FaultOrder(_Model):
    process: str
    point: Point
    action: Action
    message_type: str | None = Field(default=None, description="Only in a batch with such a message; its short name.")
    nth: int = Field(default=1, ge=1, le=1_000_000)
    stall_ms: int = Field(default=0, ge=0, le=60_000)


class ProcessChoice(_Model):
    process: str


class Restock(_Model):
    request_id: str = Field(pattern="^[!-~]{1,128}$")
    product_id: ProductId
    quantity: int = Field(ge=1, le=1000)


class Deposit(_Model):
    request_id: str = Field(pattern="^[!-~]{1,128}$")
    user_id: str = Field(min_length=1, max_length=128)
    amount: Money


class Done(_Model):
    done: Literal[True] = True


_FORBIDDEN = Case(problems.FORBIDDEN, "Operate from a page of this gateway, by http://127.0.0.1 or localhost.")


def _documented(path: str, example: Any, *cases: Case) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": example}}}} | failures(path, _FORBIDDEN, *cases)


_UNKNOWN_PROCESS = Case(problems.INVALID, "process: there is none", [("process", "there is no process order-9")])
_REFUSED = Case(problems.REFUSED, "it still cannot be decided: a commit of nothing")
_DONE = {"done": True}
_MONEY_EXAMPLE = {"amountMinor": 2999, "currency": "USD"}
_PRODUCT_EXAMPLE = {
    "productId": "product-1",
    "name": "Premium Widget",
    "price": _MONEY_EXAMPLE,
    "available": 99,
    "reserved": 1,
}
_UNKNOWN_PRODUCT = Case(problems.UNKNOWN_PRODUCT, "Product product-9 is not known.")
_PROCESS_EXAMPLE = {
    "name": "order",
    "reachable": True,
    "ready": True,
    "paused": False,
    "problem": None,
    "mode": "choreographed",
    "version": "0.1.0",
    "lag": 0,
    "pid": 4711,
    "startedAt": "2026-01-01T12:00:00Z",
    "faultsAllowed": True,
    "faults": list[str](),
}


@router.get("/processes", responses=_documented("/admin/processes", [_PROCESS_EXAMPLE]))
async def list_processes(request: Request) -> list[Process]:
    """How every process of the shop is."""
    return [_process(name, info) for name, info in (await _desk(request).infos()).items()]


def _process(name: str, info: pb.GetInfoResponse | str) -> Process:
    if isinstance(info, str):
        return Process(
            name=name,
            reachable=False,
            ready=False,
            paused=False,
            problem=info,
            mode=None,
            version=None,
            lag=None,
            pid=None,
            started_at=None,
            faults_allowed=False,
            faults=[],
        )
    return Process(
        name=name,
        reachable=True,
        ready=info.ready,
        paused=info.paused,
        problem=info.not_ready_because or None,
        mode=info.saga_mode,
        version=info.version,
        lag=info.lag,
        pid=info.pid,
        started_at=time_text(info.started_at),
        faults_allowed=info.faults_allowed,
        faults=[
            ArmedFault(
                point=fault.point,
                action=_ACTION_NAMES.get(fault.action, "unknown"),
                message_type=fault.message_type.rpartition(".")[2] or None,
                nth=max(1, fault.nth),
                stall_ms=fault.stall_ms,
            )
            for fault in info.faults
        ],
    )


@router.get("/dead-letters", responses=_documented("/admin/dead-letters", {"items": [], "silent": []}))
async def list_dead_letters(
    request: Request, status: Annotated[LetterStatus, Query(description="In this status.")] = "open"
) -> DeadLetters:
    """The dead letters of all services, the newest first."""
    desk = _desk(request)
    found: list[DeadLetter] = []
    silent: list[Silent] = []
    for service in desk.services:
        try:
            letters = await desk.dead_letters(service, _STATUSES[status])
        except ProblemError as error:
            silent.append(Silent(service=service, problem=error.detail))
            continue
        found += [_letter(service, letter) for letter in letters]
    return DeadLetters(items=sorted(found, key=lambda each: each.time, reverse=True), silent=silent)


def _letter(service: str, letter: pb.DeadLetter) -> DeadLetter:
    headers = {name: value.decode("utf-8", "backslashreplace") for name, value in sorted(letter.headers.items())}
    type_name = headers.get("ce_type", "")
    document = console_payloads.to_document(type_name, letter.payload)
    key = letter.key.decode("utf-8", "replace")
    return DeadLetter(
        service=service,
        id=letter.id,
        status=_STATUS_NAMES.get(letter.status, "unknown"),
        cause=letter.cause,
        type=type_name.rpartition(".")[2],
        time=time_text(letter.time),
        order_id=console_payloads.order_of(document) or key or None,
        place=f"{letter.topic}/{letter.partition}/{letter.offset}" if letter.topic else None,
        headers=headers,
        document=document,
        draft=console_payloads.draft(type_name, key) if document is None else document,
    )


@router.post(
    "/dead-letters/replay",
    responses=_documented("/admin/dead-letters/replay", _DONE, _UNKNOWN_PROCESS, _REFUSED, UNAVAILABLE),
)
async def replay_dead_letter(asked: Replay, request: Request) -> Done:
    """Has it handled again under its own id, with a corrected payload if one is given."""
    desk = _desk(request)
    payload = None
    if asked.document is not None:
        found = await desk.dead_letters(asked.service, pb.DEAD_LETTER_STATUS_UNSPECIFIED)
        types = (each.headers.get("ce_type", b"") for each in found if each.id == asked.id)
        type_name = next(types, b"").decode("utf-8", "replace")
        try:
            payload = console_payloads.from_document(type_name, asked.document)
        except console_payloads.Misfit as error:
            raise invalid("document", str(error)) from None
    await desk.replay(asked.service, asked.id, payload)
    return Done()


@router.post(
    "/dead-letters/discard",
    responses=_documented("/admin/dead-letters/discard", _DONE, _UNKNOWN_PROCESS, _REFUSED, UNAVAILABLE),
)
async def discard_dead_letter(asked: LetterChoice, request: Request) -> Done:
    """Marks it as not to be replayed."""
    await _desk(request).discard(asked.service, asked.id)
    return Done()


@router.post("/faults", responses=_documented("/admin/faults", _DONE, _UNKNOWN_PROCESS, UNAVAILABLE))
async def inject_fault(asked: FaultOrder, request: Request) -> Done:
    """Kills or stalls a process when its loop next comes to a crash point; once."""
    fault = pb.Fault(
        point=asked.point,
        action=_ACTIONS[asked.action],
        message_type=events.full_name(asked.message_type) if asked.message_type else "",
        nth=asked.nth,
        stall_ms=asked.stall_ms,
    )
    await _desk(request).inject(asked.process, fault)
    return Done()


@router.post("/faults/clear", responses=_documented("/admin/faults/clear", _DONE))
async def clear_faults(request: Request) -> Done:
    """Forgets what is armed and has not struck, in every process that answers."""
    desk = _desk(request)
    for process in desk.processes:
        try:
            await desk.clear_faults(process)
        except ProblemError:
            continue  # a process that is dead has nothing armed in its next life
    return Done()


@router.post("/pause", responses=_documented("/admin/pause", _DONE, _UNKNOWN_PROCESS, UNAVAILABLE))
async def pause(asked: ProcessChoice, request: Request) -> Done:
    """It takes no more messages and timers, until it is resumed or started again."""
    await _desk(request).pause(asked.process)
    return Done()


@router.post("/resume", responses=_documented("/admin/resume", _DONE, _UNKNOWN_PROCESS, UNAVAILABLE))
async def resume(asked: ProcessChoice, request: Request) -> Done:
    """It goes on."""
    await _desk(request).resume(asked.process)
    return Done()


@router.post("/restock", responses=_documented("/admin/restock", _PRODUCT_EXAMPLE, _UNKNOWN_PRODUCT, UNAVAILABLE))
async def restock(asked: Restock, request: Request) -> Product:
    """More pieces of a product; the same request id again changes nothing."""
    return await gateway_of(request).services.restock(asked.request_id, asked.product_id, asked.quantity)


@router.post("/deposit", responses=_documented("/admin/deposit", _MONEY_EXAMPLE, UNAVAILABLE))
async def deposit(asked: Deposit, request: Request) -> Money:
    """Money on a customer's account, which is the answer; the same request id again changes nothing."""
    return await gateway_of(request).services.deposit(asked.request_id, asked.user_id, asked.amount)


def _desk(request: Request) -> Desk:
    desk = gateway_of(request).desk
    assert desk is not None  # without it, these routes are not there
    return desk
