"""An order's traces as trees, for those without Jaeger: from spans that OTEL_TRACES_EXPORTER=console puts into logs.

An order can have several: placing it is one, cancelling it another. A span whose parent is not in the logs (a client's,
or one that was lost) begins a tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from rich.text import Text

from sagaproof.errors import CommandError
from sagaproof.logs import Line, Wanted, read

_MARK = "span: "


@dataclass(frozen=True)
class Span:
    """`parent_id` is '' of a root; `depth` is that of the tree that it stands in."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    began: datetime
    ms: float
    depth: int = 0


def traces(paths: Sequence[Path], order_id: str) -> list[list[Span]]:
    """Each trace in which something was done for the order, and not only read, as its spans in the order of a tree.

    Raises CommandError if there is none.
    """
    by_trace: dict[str, list[Span]] = {}
    about: dict[str, None] = {}
    for line in read(paths, Wanted(_MARK), 0):
        for span in _spans(line):
            by_trace.setdefault(span.trace_id, []).append(span)
            if line.extra.get("order_id") == order_id:
                about[span.trace_id] = None
    if not about:
        raise CommandError(
            f"no span names order {order_id}: start the shop with OTEL_TRACES_EXPORTER=console, and place another"
        )
    return [list(_tree(by_trace[trace_id])) for trace_id in about]


def _spans(line: Line) -> Iterator[Span]:
    said = line.extra
    if line.message.startswith(_MARK) and {"trace_id", "span_id", "parent_id", "ms"} <= said.keys():
        yield Span(
            trace_id=str(said["trace_id"]),
            span_id=str(said["span_id"]),
            parent_id=str(said["parent_id"]),
            service=line.service,
            name=line.message.removeprefix(_MARK),
            began=line.time,
            ms=float(str(said["ms"])),
        )


def _tree(spans: Sequence[Span]) -> Iterator[Span]:
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.began):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    waiting = [(0, span) for span in reversed(children.get("", []))]
    while waiting:
        depth, span = waiting.pop()
        yield replace(span, depth=depth)
        waiting += [(depth + 1, child) for child in reversed(children.pop(span.span_id, []))]


def lines(spans: Sequence[Span]) -> Iterator[Text]:
    """`began after the trace, took, service, what`, a line each."""
    start = spans[0].began
    yield Text(f"trace {spans[0].trace_id}")
    for span in spans:
        began_ms = (span.began - start) / timedelta(milliseconds=1)
        text = Text(f"{began_ms:8.0f} ms {span.ms:8.1f} ms  {span.service:<13} ")
        yield text.append("  " * span.depth + span.name, style="" if span.depth else "bold")


def as_json(found: Sequence[Sequence[Span]]) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
