"""Log lines as JSON on stdout: one object a line, with the trace id, and the order id where there is one."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec

from gateway import trace

_encode = msgspec.json.Encoder().encode


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what a caller passes as `extra={"fields": {...}}` becomes members of it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": "gateway",
            "logger": record.name,
            "message": record.getMessage(),
        }
        traceparent = trace.current.get()
        if traceparent:
            line["trace_id"] = traceparent[3:35]
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line).decode()


def configure(level: str) -> None:
    """Sends every logger of the process through JsonFormatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # uvicorn warns of each request that is no HTTP, which is for whoever sent it to know.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
