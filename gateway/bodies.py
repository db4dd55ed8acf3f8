"""JSON bodies, read strictly: what is ambiguous or not portable is refused, and nothing that a client sends is a 500.

Answered with 422: no UTF-8, no JSON, NaN and Infinity, a name twice in one object, nesting that is too deep, numbers
of absurd length, lone surrogates, and everything that the model does not allow.
"""

from __future__ import annotations

import asyncio
import json
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gateway.problems import INVALID, TOO_SLOW, FieldError, ProblemError, invalid

ModelT = TypeVar("ModelT", bound=BaseModel)

_MAX_ERRORS_SHOWN = 20
_MAX_NAME_CHARS = 100


async def read_json(request: Request, model: type[ModelT], max_bytes: int, timeout_s: float) -> ModelT:
    """The request's body as a `model`. Raises ProblemError; 415 unless the body is declared to be JSON, so that a web
    page elsewhere cannot send one without asking first (CORS)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "Send JSON with the header Content-Type: application/json.")
    try:
        async with asyncio.timeout(timeout_s):
            body = await _read(request, max_bytes)
    except TimeoutError:
        raise ProblemError(TOO_SLOW, f"The body was not complete after {timeout_s:g} s.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The body is incomplete.") from None
    return _validated(model, parse(body))


async def _read(request: Request, max_bytes: int) -> bytes:
    """The body; 413 as soon as it is clear that it is too large, with what was sent of it left unread."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    chunks: list[bytes] = []
    if size <= max_bytes:
        size = 0
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                break
    if size > max_bytes:
        raise HTTPException(413, f"A body may have {max_bytes} bytes.")
    return b"".join(chunks)


def parse(body: bytes) -> object:
    """The JSON value in `body`. Raises ProblemError."""
    try:
        return _decoder.decode(body.decode())
    except UnicodeDecodeError as error:
        raise invalid("body", f"is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise invalid("body", "is nested too deeply") from None
    except ValueError as error:
        raise invalid("body", f"is not JSON: {error}") from None


def _validated(model: type[ModelT], value: object) -> ModelT:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = [
            FieldError(field=json_path(each["loc"]), message=_message(each["type"], each["msg"]))
            for each in error.errors(include_url=False, include_input=False, include_context=False)[:_MAX_ERRORS_SHOWN]
        ]
        detail = "; ".join(f"{each.field}: {each.message}" for each in errors[:3])
        raise ProblemError(INVALID, detail, errors=errors) from None


def json_path(loc: tuple[int | str, ...]) -> str:
    """`("items", 0, "quantity")` as `items[0].quantity`."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part.encode("utf-8", "replace").decode()[:_MAX_NAME_CHARS]
            path += f".{name}" if path else name
    return path or "body"


def _message(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a known field"
    if kind == "string_unicode":
        return "has a lone surrogate or other invalid Unicode"
    return message[:1].lower() + message[1:]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return members


def _number(text: str) -> int | float:
    """2.0 and 2e0 are the integer 2, as JSON Schema has it."""
    number = float(text)
    return int(number) if number.is_integer() else number


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_number)
