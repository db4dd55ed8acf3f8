"""Where the loop's work waits: Kafka records and RPC commands, both bounded, and a wake-up."""

import threading
import time
from collections import deque
from collections.abc import Sequence

from services.engine.messages import Message, Record

RECORDS_MAX = 2000
COMMANDS_MAX = 2000
HURRY_FROM = 500
"""Records of which none is urgent: so many are enough for a batch."""


class MailboxFull(Exception):
    """So many commands wait already that another would only time out."""

    def __str__(self) -> str:
        return f"{COMMANDS_MAX} commands are waiting"


class Mailbox:
    """Filled by the intake and by RPCs, emptied by the loop. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[Record] = deque()
        self._commands: deque[Message] = deque()
        self._urgent = False
        self._woken = False
        self._holders: set[str] = set()

    @property
    def held(self) -> bool:
        return bool(self._holders)

    @property
    def waiting(self) -> tuple[int, int]:
        """How many records and how many commands."""
        return len(self._records), len(self._commands)

    def hold(self, held: bool, by: str = "operator") -> None:
        """While anyone holds it, records stay where they are: `take` gives none, and there is no room for more."""
        with self._changed:
            (self._holders.add if held else self._holders.discard)(by)
            self._changed.notify_all()

    def put_records(self, records: list[Record], *, urgent: bool = True) -> None:
        """Those that are not urgent wait for something that is, or until so many are there that they are a batch."""
        with self._changed:
            self._records.extend(records)
            if self._records and (urgent or len(self._records) >= HURRY_FROM):
                self._urgent = True
                self._changed.notify_all()

    def put_command(self, command: Message) -> None:
        """Raises MailboxFull."""
        if not self.put_commands([command]):
            raise MailboxFull

    def put_commands(self, commands: Sequence[Message]) -> int:
        """Puts as many as there is room for, the first ones; returns how many."""
        with self._changed:
            room = max(0, COMMANDS_MAX - len(self._commands))
            self._commands.extend(commands[:room])
            self._changed.notify_all()
            return min(room, len(commands))

    def wake(self) -> None:
        """Makes `take` return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def take(self, limit: int, timeout_s: float) -> tuple[list[Record], list[Message]]:
        """At most `limit` records and `limit` commands; waits up to `timeout_s` while nothing is urgent."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (self._commands or self._woken or (self._urgent and not self.held)):
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or not self._changed.wait(remaining_s):
                    break
            self._woken = False
            count = 0 if self.held else min(limit, len(self._records))
            records = [self._records.popleft() for _ in range(count)]
            self._urgent = self._urgent and bool(self._records)
            commands = [self._commands.popleft() for _ in range(min(limit, len(self._commands)))]
            self._changed.notify_all()
            return records, commands

    def wait_for_room(self, timeout_s: float) -> bool:
        """Whether more records may be put, within `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.held and len(self._records) < RECORDS_MAX, timeout_s)
