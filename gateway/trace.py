"""W3C trace context: continue the client's trace, or begin one. https://www.w3.org/TR/trace-context/"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z")

current: ContextVar[str] = ContextVar("traceparent", default="")
"""The traceparent of the request that is being handled: its trace, with a span of the gateway's own."""


def continued(header: str | None) -> str:
    """A traceparent with a new span, in the trace of `header` if that is valid, else in a new, sampled one."""
    match = _TRACEPARENT.match(header) if header else None
    random = os.urandom(24).hex()
    trace_id, flags = match.groups() if match else (random[16:], "01")
    return f"00-{trace_id}-{random[:16]}-{flags}"


def metadata() -> tuple[tuple[str, str], ...]:
    """gRPC metadata that hands the current trace on; empty outside of a request."""
    traceparent = current.get()
    return (("traceparent", traceparent),) if traceparent else ()
