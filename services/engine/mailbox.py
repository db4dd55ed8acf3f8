"""Where the loop's work waits: Kafka records and RPC commands, both bounded, and a wake-up."""

import threading
import time
from collections import deque

from services.engine.messages import Message, Record

RECORDS_MAX = 2000
COMMANDS_MAX = 2000


class MailboxFull(Exception):
    """So many commands wait already that another would only time out."""


class Mailbox:
    """Filled by the intake and by RPCs, emptied by the loop. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[Record] = deque()
        self._commands: deque[Message] = deque()
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

    def put_records(self, records: list[Record]) -> None:
        with self._changed:
            self._records.extend(records)
            self._changed.notify_all()

    def put_command(self, command: Message) -> None:
        """Raises MailboxFull."""
        with self._changed:
            if len(self._commands) >= COMMANDS_MAX:
                raise MailboxFull(f"{COMMANDS_MAX} commands are waiting")
            self._commands.append(command)
            self._changed.notify_all()

    def wake(self) -> None:
        """Makes `take` return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def take(self, limit: int, timeout_s: float) -> tuple[list[Record], list[Message]]:
        """At most `limit` records and `limit` commands; waits up to `timeout_s` while there are none."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (self._commands or self._woken or (self._records and not self.held)):
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or not self._changed.wait(remaining_s):
                    break
            self._woken = False
            count = 0 if self.held else min(limit, len(self._records))
            records = [self._records.popleft() for _ in range(count)]
            commands = [self._commands.popleft() for _ in range(min(limit, len(self._commands)))]
            self._changed.notify_all()
            return records, commands

    def wait_for_room(self, timeout_s: float) -> bool:
        """Whether more records may be put, within `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.held and len(self._records) < RECORDS_MAX, timeout_s)
