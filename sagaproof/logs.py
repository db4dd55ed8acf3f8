"""The logs of all processes as one story: the files of `<home>/logs`, merged by time, one readable line each.

Services write a JSON object a line, and one line for all that they have handled in a batch, which is shown as a line
for each message. Kafka writes its own format; a line without a time of its own (a stack trace) belongs to the line
before it. Following reads only what is new, and survives a file that is replaced or emptied.
"""

import heapq
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec

from sagaproof.errors import CommandError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SYNONYMS = {"WARN": "WARNING", "FATAL": "CRITICAL", "TRACE": "DEBUG"}
_PLAIN = re.compile(r"\[?(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d{3})\]? +([A-Z]+) +(.*)", re.DOTALL)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_POLL_S = 0.2
_ONES_OWN = frozenset({"time", "level", "service", "instance", "message", "exception"})


@dataclass(frozen=True)
class Line:
    """One log line, with whatever it carries beside its message. `raw` is as it was written."""

    time: datetime
    service: str
    level: str
    message: str
    raw: str
    extra: dict[str, object] = field(default_factory=dict[str, object])
    exception: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which lines: those that name an order (anywhere in the line), and those of at least a level."""

    order: str = ""
    level: str = "DEBUG"

    def fits(self, line: Line) -> bool:
        rank = LEVELS.index(line.level) if line.level in LEVELS else 1
        return rank >= LEVELS.index(self.level) and self.order in line.raw


def files(folder: Path, services: Sequence[str]) -> list[Path]:
    """The log files of these services, of all if none is named. Raises CommandError."""
    there = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if not there:
        raise CommandError(f"there are no logs in {folder} yet: start the shop with `make run`")
    for service in services:
        if service not in there:
            raise CommandError(f"there is no log of {service!r}; there is one of {', '.join(there)}")
    return [there[service] for service in services or there]


def read(paths: Iterable[Path], wanted: Wanted, last: int) -> list[Line]:
    """The lines that fit, merged by time: the `last` of them, all if it is 0."""
    merged = heapq.merge(*(_fitting(Tail(path), wanted) for path in paths), key=lambda line: line.time)
    return list(deque(merged, maxlen=last or None))


def follow(
    find: Callable[[], Sequence[Path]], wanted: Wanted, last: int, *, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Line]:
    """The last lines that fit, then new ones as they are written, in the files that `find` gives by then."""
    tails = {path: Tail(path) for path in find()}
    fitting = heapq.merge(*(_fitting(tail, wanted) for tail in tails.values()), key=lambda line: line.time)
    yield from deque(fitting, maxlen=last or None)
    while not stopped():
        for path in find():
            tails.setdefault(path, Tail(path))
        fresh = [line for tail in tails.values() for line in _fitting(tail, wanted)]
        yield from sorted(fresh, key=lambda line: line.time)
        if not fresh:
            time.sleep(_POLL_S)


class Tail:
    """One log file from its beginning, and what is added to it later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._position = 0, 0
        self._before = Line(_LONG_AGO, path.stem, "INFO", "", "")

    def lines(self) -> Iterator[Line]:
        """The complete lines that were added since the last call."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            now = os.fstat(file.fileno())
            if now.st_ino != self._inode or now.st_size < self._position:
                self._inode, self._position = now.st_ino, 0
            file.seek(self._position)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return  # still being written
                self._position += len(raw)
                if text := raw.decode(errors="replace").strip():
                    self._before = parse(text, self._before)
                    yield self._before


def parse(text: str, before: Line) -> Line:
    """One line of a log. What it does not say itself (time, level, service) is that of the line before it."""
    if text.startswith("{"):
        try:
            said = msgspec.json.decode(text, type=dict[str, object])
            return Line(
                time=_moment(str(said["time"])),
                service=str(said.get("service", before.service)),
                level=_level(str(said.get("level", "INFO"))),
                message=str(said.get("message", "")),
                raw=text,
                extra={name: value for name, value in said.items() if name not in _ONES_OWN},
                exception=str(said.get("exception", "")),
            )
        except (msgspec.DecodeError, KeyError, ValueError):
            pass
    if plain := _PLAIN.match(text):
        return Line(_moment(plain[1].replace(",", ".")), before.service, _level(plain[2]), plain[3], text)
    return Line(before.time, before.service, before.level, text, text)


def apart(line: Line) -> Iterator[Line]:
    """A service's one line for a batch as a line for each message that it handled; any other as it is."""
    by_type = line.extra.get("handled")
    if line.message != "handled" or not isinstance(by_type, dict):
        yield line
        return
    said = msgspec.json.decode(line.raw, type=dict[str, object])
    del said["handled"]
    for name, keys in cast("dict[str, list[str]]", by_type).items():
        for key in keys:
            extra: dict[str, object] = {"type": name, "key": key} if key else {"type": name}
            yield replace(line, raw=msgspec.json.encode(said | extra).decode(), extra=extra)


def _fitting(tail: Tail, wanted: Wanted) -> Iterator[Line]:
    return (line for together in tail.lines() if wanted.fits(together) for line in apart(together) if wanted.fits(line))


def _moment(text: str) -> datetime:
    """A time with its zone; the zone of this machine where it has none."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _level(text: str) -> str:
    return _SYNONYMS.get(text.upper(), text.upper())
