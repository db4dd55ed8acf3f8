"""The cycle: decide a batch in one transaction, answer, publish, mark, let the offsets go.

A crash anywhere leaves either nothing, or rows that are published at the next start with the same ids, which consumers
drop. There is no dual write.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

from services.engine import ids, metrics
from services.engine.batch import Batch
from services.engine.faults import Faults
from services.engine.messages import TIMER_TYPE, Message, Record, Undecodable, decode, timer_record, with_keys
from services.engine.participant import Participant, State, TimerFired
from services.engine.retry import Retry, TransientError
from services.engine.store import ConflictError, Store, StoredEvent, Timer, Transaction
from services.engine.telemetry import Telemetry

BATCH_MAX = 500
"""Records, commands and timers, each, that one transaction takes; and rows that are published at once."""
TIMER_TICK_US = 250_000
"""Timers that are due are fired together, so often: they are for seconds, and each firing has its price."""
CONFLICTS_MAX = 3
"""Times that a whole batch is tried again for a taken unique key, before its messages are tried one by one."""
ALONE_MAX = 10
"""Times that a message is tried alone, before the key that is taken counts as a bug."""

log = logging.getLogger(__name__)


class Publisher(Protocol):
    """The way out to the broker."""

    def publish(
        self, events: Sequence[StoredEvent], halfway: Callable[[], None] | None
    ) -> tuple[list[int], TransientError | None]:
        """Sends the events in this order. Returns the seqs that were acknowledged, and the error that ended it early.

        With `halfway`, calls it when the first half has been acknowledged and the rest not yet sent.
        """
        ...


class Poison(NamedTuple):
    """A record that is dead-lettered without being decided."""

    dead_letter_id: str
    record: Record
    cause: str


class Engine:
    """One service's loop, a step at a time. Not thread-safe: one thread drives it."""

    def __init__(
        self,
        participant: Participant,
        store: Store,
        publisher: Publisher,
        faults: Faults,
        retry: Retry,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        on_change: Callable[[Mapping[str, State]], None] = lambda _: None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._participant = participant
        self._store = store
        self._publisher = publisher
        self._faults = faults
        self._retry = retry
        self._now_us = now_us
        self._on_change = on_change
        self._telemetry = telemetry or Telemetry(participant)
        self._lap = self._telemetry.lap
        self._acknowledged: list[int] = []
        self._next_timer_us: int | None = 0
        self._timers_from_us = 0
        self.hold_timers = False

    def start(self) -> None:
        """Publishes what an earlier life left, and handles the participant's own first commands."""
        self.publish(None, frozenset())
        for command in self._participant.at_start:
            self.cycle([], [Message(f"start/{command!r}", command, type(command).__name__, answer=_raise_error)])

    def cycle(self, records: Sequence[Record], commands: Sequence[Message]) -> int:
        """Handles these, and the timers that are due. When it returns, everything is stored and published.

        What was published is marked by the next batch's transaction, or by `mark`.

        Returns how many messages there were of types that are known here; a batch of timers counts as one more.
        """
        self._telemetry.taken()
        messages, poison = self._prepare(records, commands)
        self._lap("prepare")
        types: set[str] = {message.type for message in messages}
        handled = len(messages) + len(poison)
        if self._timer_is_due():
            types.add(TIMER_TYPE)
            handled += 1
        if not handled:
            self._retry(self.mark)
            return 0
        self._faults.reach("before-transaction", types)
        for batch in self._transact(messages, poison):
            self._faults.reach("after-commit", types)
            for answer, result in batch.answers:
                answer(result)
            self._on_change(batch.states)
            self._note_timers(batch)
            self._lap("answer")
            self.publish(batch.to_publish, types)
        self._faults.reach("before-offset-commit", types)
        return handled

    def idle_s(self, most_s: float) -> float:
        """Seconds until the next timer is due, at most `most_s`."""
        if self.hold_timers or self._next_timer_us is None:
            return most_s
        return min(most_s, max(0.0, (self._next_timer_us - self._now_us()) / 1_000_000))

    def publish(self, keys: Iterable[str] | None, types: AbstractSet[str]) -> None:
        """Publishes every unmarked row of these keys, or of all; the lowest first, whoever wrote it."""
        keys = None if keys is None else sorted(keys)
        if keys is None or keys:
            while self._retry(lambda: self._publish_some(keys, types)) == BATCH_MAX:
                pass

    def mark(self) -> None:
        """Marks what the broker has acknowledged and no transaction has marked since."""
        if self._acknowledged:
            self._store.mark_published(self._acknowledged, self._now_us())
            self._acknowledged = []
            self._lap("mark")

    @property
    def unmarked(self) -> bool:
        """Whether `mark` has something to do: until then, it would be sent again after a crash."""
        return bool(self._acknowledged)

    def _publish_some(self, keys: Sequence[str] | None, types: AbstractSet[str]) -> int:
        # Read again at each try, so that after a failure it starts from the lowest unmarked row.
        self.mark()
        events = self._store.unpublished(keys, BATCH_MAX)
        if not events:
            return 0
        armed = self._faults.is_armed("amid-publish")
        halfway = (lambda: self._faults.reach("amid-publish", types)) if armed else None
        acknowledged, error = self._publisher.publish(events, halfway)
        self._lap("publish")
        self._faults.reach("before-mark", types)
        if acknowledged:
            self._acknowledged = acknowledged
            self._telemetry.published(events, acknowledged)
        if error is not None:
            self.mark()
            raise error
        return len(events)

    def _prepare(self, records: Sequence[Record], commands: Sequence[Message]) -> tuple[list[Message], list[Poison]]:
        messages = [with_keys(command, self._participant) for command in commands]
        poison: list[Poison] = []
        for record in records:
            try:
                message = decode(record, self._participant)
            except Undecodable as error:
                poison.append(Poison(record.place, record, f"Undecodable: {error}"))
                continue
            if message is not None:
                messages.append(message)
        metrics.SKIPPED.inc(len(commands) + len(records) - len(messages) - len(poison))
        return messages, poison

    def _transact(self, messages: Sequence[Message], poison: Sequence[Poison]) -> list[Batch]:
        for attempt in range(1, CONFLICTS_MAX + 1):
            try:
                return [self._retry(lambda: self._attempt(messages, poison))]
            except ConflictError as error:
                metrics.CONFLICTS.inc()
                log.warning("unique key taken", extra={"attempt": attempt, "cause": str(error)})
        batches = [self._insist(lambda: self._attempt([], poison, timers_max=0))]
        for message in messages:
            batches.extend(self._alone(message))
        return [*batches, *self._timers_alone()]

    def _alone(self, message: Message) -> list[Batch]:
        """The message in a transaction of its own; an id that still clashes is a bug, and concerns this one alone."""
        try:
            return [self._insist(lambda: self._attempt([message], [], timers_max=0))]
        except ConflictError as error:
            if message.answer is not None:
                message.answer(error)
                return []
            assert message.record is not None, "what comes neither by Kafka nor by RPC is a timer"
            letter = Poison(message.id, message.record, f"ConflictError: {error}")
            return [self._insist(lambda: self._attempt([], [letter], timers_max=0))]

    def _insist(self, attempt: Callable[[], Batch]) -> Batch:
        """Tries again after a conflict: a race with another replica is over soon. Raises the one that stays."""
        for _ in range(ALONE_MAX - 1):
            try:
                return self._retry(attempt)
            except ConflictError:
                metrics.CONFLICTS.inc()
        return self._retry(attempt)

    def _timers_alone(self) -> list[Batch]:
        batches: list[Batch] = []
        for _ in range(BATCH_MAX):
            try:
                batches.append(self._insist(lambda: self._attempt([], [], timers_max=1)))
            except ConflictError as error:
                cause = f"ConflictError: {error}"
                batches.append(self._insist(lambda: self._bury_timer(cause)))  # noqa: B023 called at once
            if not batches[-1].changes.stopped:
                break
        return batches

    def _bury_timer(self, cause: str) -> Batch:
        """Dead-letters the timer that is due the longest."""
        with self._store.transaction() as transaction:
            now_us = self._now_us()
            batch = Batch(self._participant, set(), {}, [], now_us)
            for timer in transaction.due_timers(now_us, 1):
                message = _timer_message(timer)
                batch.changes.stopped.add((timer.entity, timer.name))
                batch.dead_letter(message.id, timer_record(message), cause)
            batch.finish()
            transaction.write(batch.changes)
        return batch

    def _attempt(self, messages: Sequence[Message], poison: Sequence[Poison], timers_max: int = BATCH_MAX) -> Batch:
        with self._store.transaction() as transaction:
            self._lap("begin")
            now_us = self._now_us()
            messages = [*messages, *self._due(transaction, now_us, timers_max)]
            keys = sorted({key for message in messages for key in message.keys})
            inbox_ids = [m.id for m in messages if m.record is not None] + [letter_id for letter_id, _, _ in poison]
            seen, rows = transaction.read(inbox_ids, keys)
            self._lap("load")
            batch = Batch(self._participant, seen, rows, keys, now_us)
            for letter_id, record, cause in poison:
                batch.dead_letter(letter_id, record, cause)
            for message in messages:
                batch.decide(message)
            batch.finish()
            batch.changes.published = self._acknowledged
            self._lap("decide")
            transaction.write(batch.changes)
            self._lap("write")
        self._acknowledged = []
        self._lap("commit")
        self._telemetry.handled(batch, messages)
        return batch

    def _due(self, transaction: Transaction, now_us: int, timers_max: int) -> list[Message]:
        if not self._timer_is_due() or not timers_max:
            return []
        timers = transaction.due_timers(now_us, timers_max)
        return [with_keys(_timer_message(timer), self._participant) for timer in timers]

    def _timer_is_due(self) -> bool:
        return not self.hold_timers and self._next_timer_us is not None and self._next_timer_us <= self._now_us()

    def _note_timers(self, batch: Batch) -> None:
        if self._timer_is_due():
            if len(batch.changes.stopped) < BATCH_MAX:  # or there may be more of them
                self._timers_from_us = self._now_us() + TIMER_TICK_US
            self.look_for_timers()
        for timer in batch.changes.timers.values():
            self._look_at(timer.due_us)

    def look_for_timers(self) -> None:
        """Reads again when the next timer is due: another replica may have started one."""
        self._next_timer_us = None
        self._look_at(self._retry(self._store.next_timer_us))

    def _look_at(self, due_us: int | None) -> None:
        if due_us is not None:
            due_us = max(due_us, self._timers_from_us)
            self._next_timer_us = due_us if self._next_timer_us is None else min(due_us, self._next_timer_us)


def _timer_message(timer: Timer) -> Message:
    command = TimerFired(timer.entity, timer.name)
    return Message(ids.timer_id(*timer[:3]), command, TIMER_TYPE, timer.traceparent)


def _raise_error(result: object) -> None:
    if isinstance(result, Exception):
        raise result
