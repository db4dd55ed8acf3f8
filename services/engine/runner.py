"""The loop's thread: takes what waits in the mailbox, lets the engine handle it, keeps house in between."""

import logging
import threading
import time
from collections.abc import Callable

from services.engine import metrics
from services.engine.health import Health
from services.engine.kafka import KafkaIntake
from services.engine.loop import BATCH_MAX, Engine
from services.engine.mailbox import Mailbox
from services.engine.retry import TransientError
from services.engine.store import Store

IDLE_S = 1.0
MARK_AFTER_S = 0.05
"""Idle for so long, what was published is marked; under load the next batch does it."""
PACE_S = 0.01
ANSWERING_PACE_S = 0.02
BUSY_FROM = 16
BUSY_PACE_S = 0.05
"""Batches begin at least PACE_S apart; ANSWERING_PACE_S behind one that answered clients; BUSY_PACE_S behind one of
BUSY_FROM messages and more, none of them a client's. So they grow with the load, and each costs a transaction, requests
to the broker, and its answers to all who read.
"""
SWEEP_EVERY_S = 5.0
PRUNE_MAX = 5000
PRUNE_AGAIN_S = 0.2

log = logging.getLogger(__name__)


class Runner:
    """Runs the engine until `stopping` is set. `on_fatal` is told a sentence when it cannot go on."""

    def __init__(
        self,
        engine: Engine,
        mailbox: Mailbox,
        intake: KafkaIntake,
        store: Store,
        health: Health,
        inbox_keep_s: float,
        stopping: threading.Event,
        on_fatal: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._mailbox = mailbox
        self._intake = intake
        self._store = store
        self._health = health
        self._inbox_keep_s = inbox_keep_s
        self._stopping = stopping
        self._on_fatal = on_fatal
        self._sweep_at_s = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def sweep_soon(self) -> None:
        """Makes the loop look for rows that were left unpublished."""
        self._sweep_at_s = 0.0
        self._mailbox.wake()

    def settle(self, timeout_s: float) -> bool:
        """Waits until the batch that was taken before this call is done; whether it was in time."""
        self._done.clear()
        self._mailbox.wake()
        return self._done.wait(timeout_s)

    def join(self, timeout_s: float) -> bool:
        """Waits for the batch at hand; whether it ended in time. `stopping` has been set."""
        self._mailbox.wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._engine.start()
            self._intake.start()
            while not self._stopping.is_set():
                self._health.recovered()
                self._once()
            self._engine.mark()
        except TransientError as error:
            # Retries end when we stop. What was not done comes again after the start.
            log.warning("stopped in a retry", extra={"cause": str(error)})
            if not self._stopping.is_set():  # somebody has called without one
                self._on_fatal(f"the loop ended: {error}")
        except Exception as error:
            log.exception("the loop ended")
            self._on_fatal(f"the loop ended: {type(error).__name__}: {error}")

    def _once(self) -> None:
        self._engine.hold_timers = self._mailbox.held
        idle_s = self._engine.idle_s(MARK_AFTER_S if self._engine.unmarked else IDLE_S)
        records, commands = self._mailbox.take(BATCH_MAX, idle_s)
        began_s = time.monotonic()
        handled = self._engine.cycle(records, commands)
        if records:
            self._intake.done(records)
        self._done.set()
        if handled:
            pace_s = ANSWERING_PACE_S if commands else BUSY_PACE_S if handled >= BUSY_FROM else PACE_S
            self._stopping.wait(max(0.0, began_s + pace_s - time.monotonic()))
        if time.monotonic() >= self._sweep_at_s:
            self._sweep_at_s = time.monotonic() + SWEEP_EVERY_S
            self._sweep()

    def _sweep(self) -> None:
        self._engine.publish(None, frozenset())
        self._engine.look_for_timers()
        oldest_us = time.time_ns() // 1000 - round(self._inbox_keep_s * 1_000_000)
        try:
            if self._store.prune_inbox(oldest_us, PRUNE_MAX) == PRUNE_MAX:
                self._sweep_at_s = time.monotonic() + PRUNE_AGAIN_S
        except TransientError as error:
            metrics.RETRIES.inc()
            log.warning("inbox not pruned", extra={"cause": str(error)})
