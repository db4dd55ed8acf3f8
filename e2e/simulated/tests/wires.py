"""The simulated broker and the real one behind one interface, so that one suite can say what both must do."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import uuid4

from e2e.simulated.broker import Broker, BrokerPublisher, Group
from services.engine.kafka import KafkaIntake, KafkaPublisher
from services.engine.loop import Publisher
from services.engine.mailbox import Mailbox
from services.engine.messages import Record

SILENT_S = 20.0
TAKE_MAX = 50
CLOSE_WITHIN_S = 10.0


class Member(Protocol):
    """The one member of a consumer group."""

    def take(self, count: int) -> list[Record]:
        """The next records, at least `count` of them. AssertionError if there are fewer."""
        ...

    def leave(self, handled: Sequence[Record]) -> None:
        """Ends this member. Offsets of what it has handled are committed; it may have taken more."""
        ...


class Wire(Protocol):
    """A broker with the shop's topics."""

    def publisher(self) -> Publisher: ...

    def join(self, group: str, topics: Sequence[str]) -> Member:
        """A member that goes on where the group's offsets were committed; a new group begins at the beginning."""
        ...


class SimulatedMember:
    def __init__(self, group: Group) -> None:
        self._group = group
        self._choose = random.Random(1)

    def take(self, count: int) -> list[Record]:
        records: list[Record] = []
        while len(records) < count:
            taken = self._group.take(self._choose, TAKE_MAX)
            assert taken, f"{len(records)} records, and {count} were expected"
            records += taken
        return records

    def leave(self, handled: Sequence[Record]) -> None:
        self._group.done(handled)
        self._group.commit()


class SimulatedWire:
    def __init__(self) -> None:
        self._broker = Broker()
        self._groups: dict[str, Group] = {}

    def publisher(self) -> Publisher:
        return BrokerPublisher(self._broker, "order", {})

    def join(self, group: str, topics: Sequence[str]) -> Member:
        if group not in self._groups:
            self._groups[group] = self._broker.group(topics)
        self._groups[group].rejoin()
        return SimulatedMember(self._groups[group])


class KafkaMember:
    """By the intake and the mailbox of the engine, as in a service."""

    def __init__(self, kafka: Mapping[str, str], group: str, topics: Sequence[str]) -> None:
        self._mailbox = Mailbox()
        self._failures: list[str] = []
        self._intake = KafkaIntake(
            kafka, group, f"{group}-0", topics, self._mailbox, lambda: None, self._failures.append
        )
        self._intake.start()

    def take(self, count: int) -> list[Record]:
        records: list[Record] = []
        deadline = time.monotonic() + SILENT_S
        while len(records) < count:
            records += self._mailbox.take(TAKE_MAX, 1.0)[0]
            assert not self._failures
            assert time.monotonic() < deadline, f"{len(records)} records, and {count} were expected"
        return records

    def leave(self, handled: Sequence[Record]) -> None:
        self._intake.done(handled)
        self._intake.close(CLOSE_WITHIN_S)


class KafkaWire:
    """`run` makes the names of groups this wire's own: the broker is shared, its topics are not empty."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._kafka = {"bootstrap.servers": bootstrap_servers}
        self._run = uuid4().hex[:8]

    def publisher(self) -> Publisher:
        return KafkaPublisher(self._kafka, "order")

    def join(self, group: str, topics: Sequence[str]) -> Member:
        return KafkaMember(self._kafka, f"{group}-{self._run}", topics)
