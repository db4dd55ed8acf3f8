"""A process group that dies with this process, however this process ends."""

from __future__ import annotations

import subprocess
import sys
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
