"""How dead letters look on the terminal. Nothing here talks to the system."""

import json
from collections.abc import Iterable
from datetime import datetime
from difflib import unified_diff
from typing import Any

from rich.text import Text

from sagaproof.dead_letters import Letter
from sagaproof.payloads import has_more

CAUSE_MAX = 90
"""Characters of a cause in a list."""
DUMPED_MAX = 128
"""Bytes of a payload that are shown where it cannot be decoded."""
_DUMP_WIDTH = 16
_SERVICE_WIDTH = 12
_STYLE = {"open": "red", "replayed": "green", "discarded": "dim"}
_DIFF_STYLE = {"+": "green", "-": "red"}


def letters(found: Iterable[Letter]) -> Iterable[Text]:
    """Two lines each, which are never cut: ids are there to be copied."""
    for each in found:
        yield Text.assemble(
            f"{each.service:<{_SERVICE_WIDTH}}  {each.id}  ",
            (each.status, _STYLE[each.status]),
            f"  {each.type.rpartition('.')[2] or '-'}  ",
            (_time(each.since), "dim"),
        )
        order = f"order {each.order_id}  " if each.order_id else ""
        yield Text.assemble(f"    {order}", (_short(each.raw.cause), "dim"))


def letter(found: Letter) -> Iterable[Text]:
    """All of one, and what to do next."""
    raw = found.raw
    rows = [
        ("id", Text(found.id)),
        ("service", Text(found.service)),
        ("status", Text(found.status, style=_STYLE[found.status])),
        ("since", Text(_time(found.since))),
        ("type", Text(found.type or "-")),
        ("order", Text(found.order_id or "-")),
        ("stood at", Text(found.place)),
        ("key", Text(_text(raw.key))),
        ("cause", Text(raw.cause)),
    ]
    if found.fault_of_headers:
        rows.append(("headers", Text(found.fault_of_headers, style="red")))
    elif found.fault_of_payload not in raw.cause:  # another one than then: of an older service, say
        rows.append(("payload", Text(found.fault_of_payload, style="red")))
    for name, value in rows:
        yield Text.assemble((f"{name:<10}", "dim"), value)
    yield from _section("headers", (f"{name}: {_text(value)}" for name, value in sorted(raw.headers.items())))
    if found.document is not None:
        yield from _section("payload", pretty(found.document).splitlines())
        if has_more(found.type, raw.payload):
            yield Text("  and fields that are not known here: an edit would lose them", style="red")
    else:
        yield from _section(f"payload, {len(raw.payload):,} bytes that cannot be decoded", dump(raw.payload))
    if found.next_lines:
        yield from _section("next", ())
        for command, why in found.next_lines:
            yield Text.assemble(f"  {command}", (f"  # {why}", "dim"))


def dump(payload: bytes) -> Iterable[str]:
    """The beginning of a payload in hexadecimal, and as text where it is some."""
    for start in range(0, min(len(payload), DUMPED_MAX), _DUMP_WIDTH):
        part = payload[start : start + _DUMP_WIDTH]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{start:04x}  {part.hex(' '):<{_DUMP_WIDTH * 3}} {shown}"
    if len(payload) > DUMPED_MAX:
        yield f"... {len(payload) - DUMPED_MAX:,} bytes more"


def difference(before: Any, after: Any) -> Iterable[Text]:
    """What an edit has changed, line by line."""
    old, new = ([] if each is None else pretty(each).splitlines() for each in (before, after))
    for line in list(unified_diff(old, new, lineterm="", n=2))[2:]:
        yield Text(line, style=_DIFF_STYLE.get(line[0], "dim"))


def pretty(document: Any) -> str:
    """JSON for people to read and to edit."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def _section(title: str, lines: Iterable[str]) -> Iterable[Text]:
    yield Text(f"\n{title}", style="dim")
    for line in lines:
        yield Text(f"  {line}")


def _text(value: bytes) -> str:
    text = value.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)[1:-1]


def _short(cause: str) -> str:
    line = " ".join(cause.split())
    return line if len(line) <= CAUSE_MAX else f"{line[: CAUSE_MAX - 1]}…"


def _time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
