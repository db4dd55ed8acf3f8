"""Lists that come in pages: how much at once, and the cursor by which a client asks for what comes next.

A cursor says where a page ended, as a struct of its list's own, in an opaque spelling: clients only hand it back. A
text that is no cursor of that list is a 422 that names the parameter.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, TypeVar

import msgspec
from fastapi import Query
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from gateway.problems import invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
_MAX_CURSOR_CHARS = 1_000

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")]
CursorText = Annotated[
    Annotated[str, Field(max_length=_MAX_CURSOR_CHARS)] | SkipJsonSchema[None],
    Query(description="The `nextCursor` of the page before; without it, the first page."),
]


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended. Each list has a subclass with a `tag`, so that no list takes another's cursor."""


C = TypeVar("C", bound=Cursor)


def encode(cursor: Cursor) -> str:
    """For `nextCursor`."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).rstrip(b"=").decode()


def decode(text: str | None, kind: type[C]) -> C | None:
    """The cursor of a request, None for the first page. Raises the 422 of a wrong one."""
    if text is None:
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        cursor = msgspec.msgpack.decode(packed, type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise invalid("cursor", "is none that this list has given out") from None
    if encode(cursor) != text:
        raise invalid("cursor", "is none that this list has given out")
    return cursor
