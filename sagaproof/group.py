"""A process group that dies with this process, however this process ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

REAPER = Path(__file__).with_name("reaper.py")


class Group:
    """Children that are started with `process_group=group.id` never outlive this process: see reaper.py."""

    def __init__(self) -> None:
        self._reaper = self._start(0)
        self.id = self._reaper.pid

    @staticmethod
    def _start(group: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(REAPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=group,
        )

    def mend(self) -> None:
        """Put a new reaper into the group if somebody has killed it."""
        if self._reaper.poll() is not None:
            try:
                self._reaper = self._start(self.id)
            except OSError:  # the group is empty, so it no longer exists
                self._reaper = self._start(0)
                self.id = self._reaper.pid

    def end(self) -> None:
        """Kill whatever is left in the group."""
        if self._reaper.stdin:
            self._reaper.stdin.close()
        self._reaper.wait()


class OwnProcess:
    """A child in a group of its own, with its output in `log`, that may be ended and started again."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._group: Group | None = None

    @property
    def pid(self) -> int | None:
        """None while it is not there."""
        return self._process.pid if self._process else None

    def start(self, command: Sequence[str], cwd: Path) -> Callable[[], bool]:
        """Starts it; what is returned says whether it still lives."""
        self._group = group = Group()
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log, process_group=group.id)
        self._process = process
        return lambda: process.poll() is None

    def end(self, how: signal.Signals, within_s: float) -> None:
        """Sends it this signal; SIGKILL to it, and to all that it has started, if it has not gone by then."""
        process, self._process = self._process, None
        if process:
            process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(within_s)
        if self._group:
            self._group.end()
        if process:
            process.wait()
