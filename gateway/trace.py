"""W3C trace context: continue the client's trace, or begin one. https://www.w3.org/TR/trace-context/

Every request has a traceparent, whether or not traces are exported: it is in the log, and goes along with the order.
Where traces are switched on (`switch_on`), the requests and the calls to services have spans, and the sampling that
the standard's variables ask for is decided here, once for everybody: who comes after honours the flag.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

Attributes = Mapping[str, str | int]

_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z")
_NOT_SAMPLED = "00"

current: ContextVar[str] = ContextVar("traceparent", default="")
"""The traceparent of what is being done: its trace, with a span of the gateway's own."""


class Span(Protocol):
    """Something that has begun, and is exported when it ends, if its trace is sampled."""

    @property
    def traceparent(self) -> str: ...

    def end(self, name: str, attributes: Attributes, error: str = "") -> None: ...


class Spans(Protocol):
    def begin_request(self, header: str | None) -> Span:
        """Continues the trace of the header, if there is one."""
        ...

    def begin_call(self, traceparent: str) -> Span:
        """A call to a service, for the request of this traceparent."""
        ...


_spans: Spans | None = None


def switch_on(spans: Spans | None) -> None:
    """From now on, for the whole process; off again with None."""
    global _spans  # noqa: PLW0603 as `current`, it is the process's own
    _spans = spans


def begin(header: str | None, *, traced: bool = True) -> Span | None:
    """Sets `current` for a request, and begins its span where traces are switched on, if it is `traced` at all."""
    if _spans is None or not traced:
        current.set(continued(header))
        return None
    span = _spans.begin_request(header)
    current.set(span.traceparent)
    return span


def continued(header: str | None) -> str:
    """A traceparent with a new span, in the trace of `header` if that is valid, else in a new one, not sampled."""
    match = _TRACEPARENT.match(header) if header else None
    random = os.urandom(24).hex()
    trace_id, flags = match.groups() if match else (random[16:], _NOT_SAMPLED)
    return f"00-{trace_id}-{random[:16]}-{flags}"


def metadata() -> tuple[tuple[str, str], ...]:
    """gRPC metadata that hands the current trace on; empty outside of a request."""
    traceparent = current.get()
    return (("traceparent", traceparent),) if traceparent else ()


@contextmanager
def calling(service: str, method: str) -> Generator[None]:
    """For the length of a call to a service, `current` is a span of that call."""
    traceparent = current.get()
    if _spans is None or not traceparent:
        yield
        return
    span = _spans.begin_call(traceparent)
    token = current.set(span.traceparent)
    error = ""
    try:
        yield
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        current.reset(token)
        span.end(f"{service}/{method}", {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}, error)
