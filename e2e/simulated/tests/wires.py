"""The simulated broker and the real one behind one interface, so that one suite can say what both must do."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import uuid4

from e2e.simulated import broker
from e2e.simulated.broker import Broker, BrokerPublisher
from services.engine.kafka import KafkaIntake, KafkaPublisher
from services.engine.loop import Publisher
from services.engine.mailbox import Mailbox
from services.engine.messages import Record
from services.engine.observer import KafkaObserver

SILENT_S = 20.0
"""Longer than a session: a member that leaves is missed when that has ended."""
LOOK_S = 0.5
TAKE_MAX = 50
CLOSE_WITHIN_S = 10.0


class Member(Protocol):
    """One of a consumer group."""

    def look(self) -> list[Record]:
        """The next records, if there are any."""
        ...

    def take(self, count: int) -> list[Record]:
        """The next records, at least `count` of them. AssertionError if there are fewer."""
        ...

    def done(self, handled: Sequence[Record]) -> None:
        """Offsets of what it has handled are committed when this returns."""
        ...

    def leave(self, handled: Sequence[Record]) -> None:
        """Ends this member. Offsets of what it has handled are committed; it may have taken more."""
        ...


class Wire(Protocol):
    """A broker with the shop's topics."""

    def publisher(self) -> Publisher: ...

    def join(self, group: str, topics: Sequence[str], ordinal: int = 0) -> Member:
        """A member that goes on where the group's offsets were committed; a new group begins at the beginning.

        Where there is one with this ordinal, it has died, and this one comes in its place.
        """
        ...


class SimulatedMember:
    def __init__(self, wire: SimulatedWire, member: broker.Member) -> None:
        self._wire = wire
        self.member = member
        self._choose = random.Random(1)

    def look(self) -> list[Record]:
        return self.member.take(self._choose, TAKE_MAX)

    def take(self, count: int) -> list[Record]:
        records: list[Record] = []
        while len(records) < count:
            taken = self.look()
            assert taken, f"{len(records)} records, and {count} were expected"
            records += taken
        return records

    def done(self, handled: Sequence[Record]) -> None:
        self.member.done(handled)
        self.member.commit()

    def leave(self, handled: Sequence[Record]) -> None:
        self.done(handled)
        self._wire.leave(self)


class SimulatedWire:
    def __init__(self) -> None:
        self._broker = Broker()
        self._members: dict[str, dict[int, broker.Member]] = {}

    def publisher(self) -> Publisher:
        return BrokerPublisher(self._broker, "order", {})

    def join(self, group: str, topics: Sequence[str], ordinal: int = 0) -> Member:
        members = self._members.setdefault(group, {})
        if ordinal in members:
            members[ordinal].rejoin()
        elif members:
            members[ordinal] = self._broker.join(next(iter(members.values())))
        else:
            members[ordinal] = self._broker.group(topics)
        return SimulatedMember(self, members[ordinal])

    def leave(self, leaving: SimulatedMember) -> None:
        """The last one of a group stays in it, as the group does."""
        for members in self._members.values():
            for ordinal, member in list(members.items()):
                if member is leaving.member and len(members) > 1:
                    del members[ordinal]
                    self._broker.leave(member)


class KafkaMember:
    """By the intake and the mailbox of the engine, as in a service."""

    def __init__(self, kafka: Mapping[str, str], group: str, topics: Sequence[str], ordinal: int) -> None:
        self._mailbox = Mailbox()
        self._failures: list[str] = []
        self._handled: dict[tuple[str, int], int] = {}
        self._observer = KafkaObserver(kafka, group, topics)
        instance = f"{group}-{ordinal}"
        self._intake = KafkaIntake(kafka, group, instance, topics, self._mailbox, lambda: None, self._failures.append)
        self._intake.start()

    def look(self) -> list[Record]:
        assert not self._failures
        return self._mailbox.take(TAKE_MAX, LOOK_S)[0]

    def take(self, count: int) -> list[Record]:
        records: list[Record] = []
        deadline = time.monotonic() + SILENT_S
        while len(records) < count:
            records += self.look()
            assert time.monotonic() < deadline, f"{len(records)} records, and {count} were expected"
        return records

    def done(self, handled: Sequence[Record]) -> None:
        self._intake.done(handled)
        for record in handled:
            place = record.topic, record.partition
            self._handled[place] = max(self._handled.get(place, 0), record.offset + 1)
        deadline = time.monotonic() + SILENT_S
        while any(p.offset < self._handled.get((p.topic, p.partition), 0) for p in self._observer.positions(SILENT_S)):
            assert time.monotonic() < deadline, "offsets are not committed"

    def leave(self, handled: Sequence[Record]) -> None:
        self._intake.done(handled)
        self._intake.close(CLOSE_WITHIN_S)

    def die(self) -> None:
        """Without a word to the group."""
        self._intake.stop()


class KafkaWire:
    """`run` makes the names of groups this wire's own: the broker is shared, its topics are not empty."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._kafka = {"bootstrap.servers": bootstrap_servers}
        self._run = uuid4().hex[:8]
        self._members: dict[tuple[str, int], KafkaMember] = {}

    def publisher(self) -> Publisher:
        return KafkaPublisher(self._kafka, "order")

    def join(self, group: str, topics: Sequence[str], ordinal: int = 0) -> Member:
        before = self._members.get((group, ordinal))
        if before is not None:
            before.die()
        member = self._members[group, ordinal] = KafkaMember(self._kafka, f"{group}-{self._run}", topics, ordinal)
        return member
