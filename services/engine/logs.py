"""JSON logs, one object a line on standard output: time, level, service, message, and whatever `extra` carries.

A line by `logging` costs 13 us. The messages that a service handles are logged at another price: one line a batch,
written past `logging` (but under its lock and by its level), in which each message is an id in a list. `sagaproof logs`
makes a line of each again.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from services.engine.messages import Message

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}
_encode = msgspec.json.Encoder(enc_hook=str).encode

log = logging.getLogger(__name__)


class _JsonFormatter(logging.Formatter):
    """A few lines rather than a library."""

    def __init__(self, fixed: Mapping[str, str]) -> None:
        super().__init__()
        self._fixed = fixed

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
        return _encode(line).decode()


class _Output(logging.StreamHandler[TextIO]):
    """Where all lines of the process go. It is never closed while the process runs."""

    def __init__(self, service: str, instance: str) -> None:
        super().__init__(sys.stdout)
        self.fixed = {"service": service, "instance": instance}
        self.setFormatter(_JsonFormatter(self.fixed))

    def write(self, level: str, message: str, said: Mapping[str, object]) -> None:
        """A line without a `LogRecord`."""
        line = {"time": datetime.now(UTC), "level": level, **self.fixed, "message": message, **said}
        self.acquire()
        try:
            self.stream.write(_encode(line).decode() + "\n")
            self.flush()
        finally:
            self.release()


_output: _Output | None = None


def set_up(service: str, instance: str, level: str) -> None:
    """Sends all logging of this process to standard output as JSON."""
    global _output  # noqa: PLW0603 there is one standard output
    _output = _Output(service, instance)
    logging.basicConfig(level=level, handlers=[_output], force=True)


def handled(messages: Sequence[Message], about: Callable[[Any], Mapping[str, str]]) -> None:
    """One INFO line for a batch: `handled` has, by type, each record's key, or what else a message is about, or ''."""
    if _output is None or not messages or not log.isEnabledFor(logging.INFO):
        return
    by_type: dict[str, list[str]] = {}
    for message in messages:
        record = message.record
        key = (
            next(iter(about(message.command).values()), "") if record is None else record.key.decode("utf-8", "replace")
        )
        keys = by_type.get(message.type)
        if keys is None:
            by_type[message.type] = [key]
        else:
            keys.append(key)
    _output.write("INFO", "handled", {"handled": by_type})
