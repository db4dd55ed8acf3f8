"""What the shop's processes use, by the operating system: CPU time, memory, and bytes on disk.

A process counts with its children (a database has many), also with those that have ended. The supervisor counts alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from sagaproof.runstate import RunState

SUPERVISOR = "supervisor"


class Memory(msgspec.Struct, frozen=True):
    """Bytes. RSS counts what processes share in each of them; PSS counts it once (None where it is not told)."""

    rss: int
    pss: int | None


def cpu_s(state: RunState) -> dict[str, float]:
    """CPU seconds of each process since its start. One that is between two lives has 0."""
    used = {SUPERVISOR: _own_s(state.supervisor.find())}
    for name, recorded in state.processes.items():
        used[name] = _family_s(recorded.find())
    return used


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds between two looks. A process that was restarted counts from its new start."""
    return {
        name: used - before.get(name, 0.0) if used >= before.get(name, 0.0) else used for name, used in after.items()
    }


def memory(state: RunState) -> dict[str, Memory]:
    """Of each process, its children in it."""
    found = {SUPERVISOR: _memory([process] if (process := state.supervisor.find()) else [])}
    for name, recorded in state.processes.items():
        process = recorded.find()
        found[name] = _memory([process, *_children(process)] if process else [])
    return found


def bytes_of(folder: Path, pattern: str) -> int:
    """Bytes of the files below the folder whose name matches."""
    total = 0
    for path in folder.rglob(pattern):
        with contextlib.suppress(OSError):  # a file that was removed meanwhile
            total += path.stat().st_size
    return total


def _own_s(process: psutil.Process | None) -> float:
    try:
        times = process.cpu_times() if process else None
    except psutil.Error:
        return 0.0
    return times.user + times.system if times else 0.0


def _family_s(process: psutil.Process | None) -> float:
    """Ended children are in the parent's `children_*`, those that live are not."""
    if process is None:
        return 0.0
    total = 0.0
    for each in [process, *_children(process)]:
        with contextlib.suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _memory(processes: list[psutil.Process]) -> Memory:
    rss, pss = 0, 0
    told = True
    for process in processes:
        with contextlib.suppress(psutil.Error):
            full = process.memory_full_info()
            rss += full.rss
            pss += getattr(full, "pss", 0)
            told = told and hasattr(full, "pss")
    return Memory(rss, pss if told else None)
