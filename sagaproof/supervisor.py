"""Keeps a set of processes running: starts them in their order, restarts what dies, stops all of them in order.

It knows nothing of Kafka or of orders: a `ProcessSpec` says how to start one process, how to tell that it is ready, and
which others must be ready first. Promises:

- A process that ends is started again, at once and then with a growing pause (at most LONGEST_PAUSE_S).
- One that ends GIVE_UP_AFTER times before it was ever ready ends the whole run, with the end of its log.
- `stop` ends the last stage first, each stage within its `stop_s`; what does not go is killed.
- No child outlives the supervisor, even if that is killed by SIGKILL: see group.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sagaproof import logfile
from sagaproof.group import Group

GIVE_UP_AFTER = 3
LONGEST_PAUSE_S = 10.0
FIRST_PAUSE_S = 0.25
HEALTHY_AFTER_S = 20.0
"""A process that was ready for this long starts again without a pause."""
READY_POLL_S = 0.05
CARE_S = 1.0


class SupervisorError(RuntimeError):
    """The run cannot go on; the message says which process, and shows the end of its log."""


@dataclass(frozen=True)
class ProcessSpec:
    """One process.

    ready:   asked again and again, in a thread, until it says yes; may block for a second, must not raise
    prepare: called in a thread before each start
    after:   names of processes that must have been ready once before this one is started
    stage:   stopped in descending order; those of one stage are stopped together
    stop_s:  how long it may take to go after `stop_signal`; then it is killed
    once:    it is a step: when it has ended with exit code 0 it is ready, and it is not started again
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    ready: Callable[[], bool] = lambda: False
    prepare: Callable[[], None] = lambda: None
    after: Sequence[str] = ()
    stage: int = 0
    stop_s: float = 8.0
    stop_signal: signal.Signals = signal.SIGTERM
    once: bool = False


@dataclass(frozen=True)
class Event:
    """Something to tell: `what` is one of started, ready, ended, stopped.

    after_s: since its start; restarts: how often it has been started again; cause: `exit code 1`, `SIGKILL`
    """

    name: str
    what: str
    pid: int = 0
    after_s: float = 0.0
    restarts: int = 0
    cause: str = ""


@dataclass
class _Child:
    """One process over all its lives."""

    spec: ProcessSpec
    process: asyncio.subprocess.Process | None = None
    ready_once: asyncio.Event = field(default_factory=asyncio.Event)
    ready: bool = False
    restarts: int = 0


class Supervisor:
    """Runs the processes; `tell` hears what happens, on the event loop's thread."""

    def __init__(self, specs: Sequence[ProcessSpec], tell: Callable[[Event], None]) -> None:
        self._children = {spec.name: _Child(spec) for spec in specs}
        self._tell = tell
        self._stopping = False
        self._hurry = asyncio.Event()

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until `stop` is set; then end all in order. Raises SupervisorError if it cannot go on."""
        self._group = Group()
        lives = [asyncio.create_task(self._keep(child)) for child in self._children.values()]
        care = asyncio.create_task(self._care())
        asked = asyncio.create_task(stop.wait())
        ready = asyncio.create_task(self._all_ready(on_ready))
        try:
            await asyncio.wait([*lives, care, asked], return_when=asyncio.FIRST_COMPLETED)
            for task in (*lives, care):
                if task.done():
                    task.result()
        finally:
            ready.cancel()
            asked.cancel()
            care.cancel()
            try:
                await self._stop(lives)
            finally:
                self._group.end()

    def hurry(self) -> None:
        """Kill what is being stopped at once: the user has asked twice."""
        self._hurry.set()

    async def _all_ready(self, on_ready: Callable[[], None]) -> None:
        for child in self._children.values():
            await child.ready_once.wait()
        on_ready()

    # ------------------------------------------------------------ one process

    async def _keep(self, child: _Child) -> None:
        for name in child.spec.after:
            await self._children[name].ready_once.wait()
        pause_s, failures = 0.0, 0
        while True:
            await asyncio.sleep(pause_s)
            started = time.monotonic()
            cause = await self._live(child, started)
            if self._stopping:
                return
            if child.spec.once and child.process is not None and child.process.returncode == 0:
                self._note_ready(child, 0, started)
                await asyncio.Event().wait()  # until it is cancelled
            ready_at_all, lived_s = child.ready, time.monotonic() - started
            child.ready = False
            failures = 0 if child.ready_once.is_set() else failures + 1
            if failures == GIVE_UP_AFTER:
                raise SupervisorError(
                    f"{child.spec.name} ended {failures} times before it was ready ({cause}); "
                    f"the end of {child.spec.log}:\n{logfile.tail(child.spec.log)}"
                )
            self._tell(Event(child.spec.name, "ended", after_s=lived_s, restarts=child.restarts, cause=cause))
            well = ready_at_all and lived_s > HEALTHY_AFTER_S
            pause_s = 0.0 if well else min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, pause_s * 2))
            child.restarts += 1

    async def _live(self, child: _Child, started: float) -> str:
        """One life of a process: from its start to its end. Gives how it ended."""
        spec = child.spec
        await asyncio.to_thread(spec.prepare)
        if self._stopping:
            return ""
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log:
            child.process = process = await asyncio.create_subprocess_exec(
                *spec.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=spec.cwd,
                env=dict(spec.env),
                process_group=self._group.id,
            )
        self._tell(Event(spec.name, "started", pid=process.pid, restarts=child.restarts))
        watch = asyncio.create_task(self._watch(child, process.pid, started))
        try:
            code = await process.wait()
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        return cause_of(code)

    async def _watch(self, child: _Child, pid: int, started: float) -> None:
        if child.spec.once:
            return
        while True:
            if await asyncio.to_thread(child.spec.ready):
                break
            await asyncio.sleep(READY_POLL_S)
        self._note_ready(child, pid, started)

    def _note_ready(self, child: _Child, pid: int, started: float) -> None:
        child.ready = True
        self._tell(
            Event(child.spec.name, "ready", pid=pid, after_s=time.monotonic() - started, restarts=child.restarts)
        )
        child.ready_once.set()

    # ------------------------------------------------------------ all of them

    async def _care(self) -> None:
        """Keep the reaper alive and the logs short."""
        while True:
            self._group.mend()
            for child in self._children.values():
                logfile.shorten(child.spec.log)
            await asyncio.sleep(CARE_S)

    async def _stop(self, lives: Sequence[asyncio.Task[None]]) -> None:
        self._stopping = True
        for stage in sorted({child.spec.stage for child in self._children.values()}, reverse=True):
            await asyncio.gather(*(self._end(c) for c in self._children.values() if c.spec.stage == stage))
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)

    async def _end(self, child: _Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        asked = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(child.spec.stop_signal)
        gone, hurry = asyncio.create_task(process.wait()), asyncio.create_task(self._hurry.wait())
        await asyncio.wait([gone, hurry], timeout=child.spec.stop_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not gone.done():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        cause = cause_of(await gone)
        self._tell(Event(child.spec.name, "stopped", after_s=time.monotonic() - asked, cause=cause))


def cause_of(code: int) -> str:
    """How a process ended, for people."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
