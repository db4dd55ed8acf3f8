"""One replica of two: the engine on PostgreSQL, of which each transaction waits for the other's once it has read."""

from __future__ import annotations

import threading
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from e2e.simulated.broker import BrokerPublisher
from e2e.simulated.world import Clock, Killed
from services.engine.faults import Faults
from services.engine.loop import Engine
from services.engine.participant import Participant, State
from services.engine.postgres import PostgresStore
from services.engine.retry import Retry, TransientError
from services.engine.store import StoredEvent

MEET_WITHIN_S = 0.02
"""Who has read waits so long for the other, which a lock may keep from reading."""


class Meeting:
    """Where two wait for each other, for a while."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._here = 0

    def wait(self) -> None:
        with self._changed:
            self._here += 1
            number = self._here
            if number % 2 and not self._changed.wait_for(lambda: self._here > number, MEET_WITHIN_S):
                self._here -= 1
            self._changed.notify_all()


class MeetingStore(PostgresStore):
    """Its transactions wait for the other replica's when they have read."""

    def __init__(self, url: str, meeting: Meeting) -> None:
        super().__init__(url)
        self._meeting = meeting

    @contextmanager
    def transaction(self) -> Generator[Any]:
        with super().transaction() as transaction:
            read = transaction.read

            def read_and_wait(message_ids: Sequence[str], entities: Sequence[str]) -> Any:
                found = read(message_ids, entities)
                self._meeting.wait()
                return found

            cast("Any", transaction).read = read_and_wait
            yield transaction


class OneAtATime:
    """A publisher that shares the broker in memory with others."""

    def __init__(self, publisher: BrokerPublisher, lock: threading.Lock) -> None:
        self._publisher = publisher
        self._lock = lock

    def publish(self, events: Sequence[StoredEvent], halfway: Any) -> tuple[list[int], TransientError | None]:
        with self._lock:
            return self._publisher.publish(events, halfway)


class Replica:
    """heard, changed: entities of which it was told, and which it has changed; told: that it listens."""

    def __init__(
        self, participant: Participant, url: str, meeting: Meeting, publisher: OneAtATime, clock: Clock
    ) -> None:
        self.store = MeetingStore(url, meeting)
        self.faults = Faults(_kill)
        self.heard: set[str] = set()
        self.changed: set[str] = set()
        self.told = threading.Event()
        self._participant = participant
        self._publisher = publisher
        self._clock = clock
        self.engine = self._new_engine()

    def restart(self) -> None:
        self.faults.clear()
        self.engine = self._new_engine()
        self.engine.start()

    def hear(self, entities: Collection[str] | None) -> None:
        self.told.set()
        self.heard.update(entities or ())

    def _new_engine(self) -> Engine:
        return Engine(
            self._participant,
            self.store,
            self._publisher,
            self.faults,
            Retry(threading.Event(), lambda _: None),
            lambda: self._clock.now_us,
            self._note,
        )

    def _note(self, states: Mapping[str, State]) -> None:
        self.changed.update(states)


def _kill() -> None:
    raise Killed
