"""The machine and the code that were measured: without them a figure says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil

from sagaproof.jars import KAFKA_VERSION

_LIBRARIES = ("confluent-kafka", "grpcio", "protobuf", "msgspec", "sqlalchemy", "uvicorn", "uvloop")


class Machine(msgspec.Struct, frozen=True):
    """`load_before` is the load average of the last minute, over all cores."""

    cores: int
    cpu: str
    memory_bytes: int
    system: str
    python: str
    kafka: str
    versions: dict[str, str]
    commit: str
    load_before: float


def facts() -> Machine:
    """Of this machine, now."""
    return Machine(
        cores=psutil.cpu_count() or 0,
        cpu=_cpu(),
        memory_bytes=psutil.virtual_memory().total,
        system=platform.platform(),
        python=platform.python_version(),
        kafka=KAFKA_VERSION,
        versions={name: found for name in _LIBRARIES if (found := _version(name))},
        commit=_commit(),
        load_before=round(os.getloadavg()[0], 2),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return _said("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()


def _commit() -> str:
    """With a `+` where files have changed since."""
    commit = _said("git", "rev-parse", "--short=12", "HEAD")
    return commit + ("+" if commit and _said("git", "status", "--porcelain", "--untracked-files=no") else "")


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return ""


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if not done.returncode else ""
