"""Faults that an operator or a test can arm at named points of the loop: kill the process there, or stall it.

A fault fires once. Services refuse to arm one unless they were started with FAULTS=1.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

Point = Literal["before-transaction", "after-commit", "amid-publish", "before-mark", "before-offset-commit"]


@dataclass(frozen=True)
class Fault:
    """Fires at the `nth` time that `point` is reached by a batch with a message of `message_type` ('' is any)."""

    point: str
    action: Literal["kill", "stall"]
    message_type: str = ""
    nth: int = 1
    stall_ms: int = 0


def kill_this_process() -> None:
    """Without a chance to tidy up."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(128 + signal.SIGKILL)  # the first process of a container cannot be killed from inside


class Faults:
    """The armed faults of one process. Arming and reaching may happen on different threads.

    kill: what a kill does; where several services share a process, it must end one of them
    """

    def __init__(self, kill: Callable[[], None] = kill_this_process) -> None:
        self._kill = kill
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        with self._lock:
            self._armed.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def armed(self) -> list[Fault]:
        with self._lock:
            return list(self._armed)

    def is_armed(self, point: Point) -> bool:
        return any(fault.point == point for fault in self._armed)

    def reach(self, point: Point, message_types: AbstractSet[str]) -> None:
        """Called by the loop at each of its points; does nothing while nothing is armed."""
        if not self._armed:
            return
        with self._lock:
            due = self._count_down(point, message_types)
        if due is None:
            return
        if due.action == "kill":
            self._kill()
        time.sleep(due.stall_ms / 1000)

    def _count_down(self, point: Point, message_types: AbstractSet[str]) -> Fault | None:
        for i, fault in enumerate(self._armed):
            if fault.point == point and (not fault.message_type or fault.message_type in message_types):
                if fault.nth <= 1:
                    return self._armed.pop(i)
                self._armed[i] = replace(fault, nth=fault.nth - 1)
        return None
