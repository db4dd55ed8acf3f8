"""How a replica hears what the others commit: PostgreSQL's LISTEN and NOTIFY.

A notification goes with the transaction, and names the entities that it changed. Those of one's own are told apart by
a name that each store draws for itself. A listener that was cut off cannot know what it has missed, so it says that
anything may have changed.
"""

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Iterator

import psycopg

from services.engine.postgres_session import connect

CHANNEL = "committed"
PAYLOAD_MAX_BYTES = 7900
"""PostgreSQL takes less than 8,000."""
WAKES_EVERY_S = 0.5
"""To see whether it should end."""
AGAIN_AFTER_S = 0.5

log = logging.getLogger(__name__)
OnChange = Callable[[Collection[str] | None], None]


class Listener:
    """Tells of others' commits until it is closed. `name` is what one's own notifications begin with."""

    def __init__(self, url: str, on_change: OnChange) -> None:
        self.name = secrets.token_hex(4)
        self._url = url
        self._on_change = on_change
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def payloads(self, entities: Iterable[str]) -> Iterator[str]:
        """What to notify of a transaction that changed these entities: at least one payload."""
        lines, size = [self.name], len(self.name)
        for entity in entities:
            more = len(entity.encode()) + 1
            if size + more > PAYLOAD_MAX_BYTES:
                yield "\n".join(lines)
                lines, size = [self.name], len(self.name)
            lines.append(entity)
            size += more
        yield "\n".join(lines)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(WAKES_EVERY_S * 4)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with contextlib.closing(connect(self._url)) as connection:
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._on_change(None)
                    self._listen(connection)
            except psycopg.OperationalError as error:
                log.warning("does not hear the other replicas", extra={"cause": " ".join(str(error).split())})
                self._closing.wait(AGAIN_AFTER_S)

    def _listen(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        while not self._closing.is_set():
            for notice in connection.notifies(timeout=WAKES_EVERY_S):
                name, *entities = notice.payload.split("\n")
                if name != self.name:
                    self._on_change(entities)
                if self._closing.is_set():
                    return
