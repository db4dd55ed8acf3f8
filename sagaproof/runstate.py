"""`<home>/run.json`: what runs now, written by `sagaproof run` for the other commands, and for the run that comes next.

A process is known by its pid and its start time together, so that a pid that was given to another program meanwhile is
never mistaken. The file is there while a run is up, and after one that was killed.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec
import psutil

_START_TOLERANCE_S = 1.0
_GONE_S = 5.0


class Running(msgspec.Struct, frozen=True):
    """A process. `pid` is 0 between two lives."""

    pid: int = 0
    started: float = 0.0

    @classmethod
    def of(cls, pid: int) -> Running:
        """The process that has this pid now."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return cls()

    def find(self) -> psutil.Process | None:
        """The process itself, if it still runs."""
        try:
            process = psutil.Process(self.pid) if self.pid else None
            if process is None or process.status() == psutil.STATUS_ZOMBIE:
                return None
            return process if abs(process.create_time() - self.started) < _START_TOLERANCE_S else None
        except psutil.Error:
            return None


class Supervised(Running, frozen=True):
    """A process of the run: its ports (0 where it has none of the kind) and its log."""

    restarts: int = 0
    ready: bool = False
    grpc: int = 0
    admin: int = 0
    http: int = 0
    log: str = ""


class RunState(msgspec.Struct, frozen=True):
    """One run of the shop: `gateway` is its URL, `kafka` the bootstrap servers."""

    supervisor: Running
    gateway: str
    kafka: str
    mode: str
    home: str
    processes: dict[str, Supervised]


def path(home: Path) -> Path:
    return home / "run.json"


def read(home: Path) -> RunState | None:
    """What the last run wrote, None if there is nothing (or nothing whole). It may be dead: see `Running.find`."""
    try:
        return msgspec.json.decode(path(home).read_bytes(), type=RunState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write(home: Path, state: RunState) -> None:
    """Replace the file whole."""
    new = path(home).with_suffix(".json.new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    new.replace(path(home))


def clear(home: Path) -> None:
    path(home).unlink(missing_ok=True)


def end_leftovers(home: Path) -> list[str]:
    """Kill the recorded processes of a run whose supervisor is gone; gives their names. They are known to be ours."""
    state = read(home)
    if state is None or state.supervisor.find():
        return []
    left = {name: process for name, recorded in state.processes.items() if (process := recorded.find())}
    for process in left.values():
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + _GONE_S
    while any(state.processes[name].find() for name in left) and time.monotonic() < deadline:
        time.sleep(0.02)
    clear(home)
    return list(left)
