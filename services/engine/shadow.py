"""A second store of a read model, folded from the beginning of its topics.

The same decoding, deciding and folding as in the service's loop (`Batch`), without all that a private file does not
need: no timers, RPCs, retries or faults. It publishes nothing, and counts nothing in the service's metrics.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from services.engine.batch import Batch
from services.engine.messages import Message, Record, Undecodable, decode
from services.engine.participant import Participant
from services.engine.sqlite import SqliteStore
from services.engine.store import Store


class Shadow:
    """Records are folded into `store`. Made by `shadow`."""

    def __init__(self, participant: Participant, store: Store) -> None:
        self.store = store
        self._participant = participant

    def fold(self, records: Iterable[Record]) -> None:
        """Handles these, in one transaction; those whose ids it has seen change nothing."""
        messages: list[Message] = []
        poison: list[tuple[Record, str]] = []
        for record in records:
            try:
                message = decode(record, self._participant)
            except Undecodable as error:
                poison.append((record, f"Undecodable: {error}"))
                continue
            if message is not None:
                messages.append(message)
        if not messages and not poison:
            return
        keys = sorted({key for message in messages for key in message.keys})
        with self.store.transaction() as transaction:
            seen = transaction.seen([*(message.id for message in messages), *(record.place for record, _ in poison)])
            batch = Batch(self._participant, seen, transaction.load(keys), keys, now_us=0)
            for record, cause in poison:
                batch.dead_letter(record.place, record, cause)
            for message in messages:
                batch.decide(message)
            batch.finish()
            transaction.write(batch.changes)

    def could_not_fold(self, record: Record, message_id: str) -> bool:
        """Whether the record, under this id or under its place, was folded in vain."""
        return any(self.store.dead_letter(letter_id) is not None for letter_id in (message_id, record.place))


@contextmanager
def shadow(participant: Participant, path: Path) -> Generator[Shadow]:
    """An empty one at `path`, which is removed at the end; what a crash left there is removed first."""
    _remove(path)
    store = SqliteStore(str(path))
    try:
        yield Shadow(participant, store)
    finally:
        store.close()
        _remove(path)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
