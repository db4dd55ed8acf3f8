"""An engine on a real store, with an in-memory broker and a clock that stands; lives of it follow one another."""

import threading
from collections.abc import Mapping
from pathlib import Path

from services.engine.batch import decode_state
from services.engine.faults import Faults
from services.engine.loop import Engine
from services.engine.participant import Participant, State
from services.engine.retry import Retry
from services.engine.sqlite import SqliteStore
from services.engine.store import Store
from services.engine.tests.toy import Broker, Clock, Counter, toy


class Life:
    """One life of a process: an engine, and what it uses."""

    def __init__(self, store: Store, participant: Participant, clock: Clock, broker: Broker, faults: Faults) -> None:
        self.store = store
        self.broker = broker
        self.faults = faults
        self.stopping = threading.Event()
        self.errors: list[BaseException] = []
        self.changes: list[Mapping[str, State]] = []
        retry = Retry(self.stopping, self.errors.append)
        self.engine = Engine(participant, self.store, broker, self.faults, retry, clock, self.changes.append)

    def counter(self, name: str) -> Counter:
        row = self.store.entity(f"counter/{name}")
        return Counter() if row is None else decode_state(Counter, row.state)

    def dead_letters(self) -> list[str]:
        return [letter.id for letter in self.store.dead_letters(None, "", 100)]

    def inbox_has(self, *message_ids: str) -> set[str]:
        with self.store.transaction() as transaction:
            return transaction.seen(message_ids)


class Place:
    """Where lives follow one another: the store's file, the broker and the clock stay."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.broker = Broker()
        self._path = path
        self._lives: list[Life] = []

    def live(
        self,
        participant: Participant | None = None,
        store: type[SqliteStore] = SqliteStore,
        faults: Faults | None = None,
    ) -> Life:
        life = Life(store(str(self._path)), participant or toy(), self.clock, self.broker, faults or Faults())
        self._lives.append(life)
        return life

    def end(self) -> None:
        for life in self._lives:
            life.store.close()
