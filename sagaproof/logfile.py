"""A log file that a child process appends to: what was there before is kept, its size is bounded, its end is shown."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

LIMIT_BYTES = 50_000_000
_TAIL_BYTES = 20_000


def rotate(log: Path) -> None:
    """Keep what is there as `<log>.1`."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size:
            log.replace(previous(log))


def shorten(log: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """If it has grown too long, its contents move to `<log>.1` and it goes on from empty (it is open for appending)."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit_bytes:
            shutil.copyfile(log, previous(log))
            os.truncate(log, 0)


def previous(log: Path) -> Path:
    return log.with_name(log.name + ".1")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"({error})"
    return "\n".join(text.splitlines()[-lines:])
