"""A broker in memory: topics with partitions, records in order inside a partition only, groups with offsets."""

import random
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from services.engine.messages import Record
from services.engine.retry import TransientError
from services.engine.store import StoredEvent
from services.topics import TOPICS

Place = tuple[str, int]
"""A topic and a partition of it."""
RECORD_MAX_BYTES = {topic.name: int(topic.config["max.message.bytes"]) for topic in TOPICS}
"""Of its value; headers and key are small."""
SOME_SHARE, PART_SHARE = 0.5, 0.3
"""How often some partitions are read and not all that could be, and of one of them a part."""


class Broker:
    """Keeps every record of every topic."""

    def __init__(self) -> None:
        self.logs: dict[Place, list[Record]] = {(t.name, p): [] for t in TOPICS for p in range(t.partitions)}
        self._partitions = {topic.name: topic.partitions for topic in TOPICS}
        self._members: dict[str, list[Member]] = defaultdict(list)

    def append(self, topic: str, key: bytes, headers: dict[str, bytes], value: bytes) -> Record:
        """The record, where it stands now: records of one key stand in one partition."""
        place = (topic, zlib.crc32(key) % self._partitions[topic])
        log = self.logs[place]
        record = Record(topic, place[1], len(log), key, headers, value)
        log.append(record)
        for member in self._members[topic]:
            member.note(place)
        return record

    def group(self, topics: Sequence[str]) -> "Member":
        """The first member of a new consumer group, which begins at the beginning."""
        places = [place for place in self.logs if place[0] in topics]
        return self._join(Group({place: self.logs[place] for place in places}))

    def join(self, member: "Member") -> "Member":
        """Another member of the same group: partitions are given out anew."""
        return self._join(member.group)

    def leave(self, member: "Member") -> None:
        """Its partitions are given to those who stay."""
        for members in self._members.values():
            if member in members:
                members.remove(member)
        member.group.leave(member)

    def _join(self, group: "Group") -> "Member":
        member = Member(group)
        for topic in dict.fromkeys(topic for topic, _ in group.logs):
            self._members[topic].append(member)
        group.join(member)
        return member


class Group:
    """A consumer group: where its offsets were committed, and who its members are.

    When one joins or leaves, every member commits what it has handled and gives all partitions back. Then they are
    given out: of each topic every member gets a range. Who has a partition goes on where its offset was committed.
    """

    def __init__(self, logs: dict[Place, list[Record]]) -> None:
        self.logs = logs
        self.committed = dict.fromkeys(logs, 0)
        self._members: list[Member] = []

    def join(self, member: "Member") -> None:
        self._give_out([*self._members, member])

    def leave(self, member: "Member") -> None:
        member.give_back()
        self._give_out([each for each in self._members if each is not member])

    def _give_out(self, members: "list[Member]") -> None:
        for member in self._members:
            member.give_back()
        self._members = members
        for place in self.logs:
            _, partition = place
            partitions = sum(topic == place[0] for topic, _ in self.logs)
            if members:
                members[partition * len(members) // partitions].get(place)


class Member:
    """One of a consumer group.

    unread: its partitions that have records which it has not got yet
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self._logs = group.logs
        self._committed = group.committed
        self._positions: dict[Place, int] = {}
        self._handled: dict[Place, int] = {}
        self.unread: dict[Place, None] = {}

    def note(self, place: Place) -> None:
        """A record more is there."""
        if place in self._positions:
            self.unread[place] = None

    def get(self, place: Place) -> None:
        """The partition is its own now."""
        self._moved(place, self._committed[place])

    def give_back(self) -> None:
        """All of its partitions."""
        self.commit()
        self._positions.clear()
        self.unread.clear()

    def take(self, choose: random.Random, limit: int) -> list[Record]:
        """At most `limit` records: from any of the partitions, in any order of these, any number of the next ones."""
        places = list(self.unread)
        if len(places) > 1:
            some = choose.random() < SOME_SHARE
            places = choose.sample(places, choose.randint(1, len(places)) if some else len(places))
        records: list[Record] = []
        for place in places:
            log, position = self._logs[place], self._positions[place]
            count = min(len(log) - position, limit - len(records))
            if count > 1 and choose.random() < PART_SHARE:
                count = choose.randint(1, count)
            records += log[position : position + count]
            self._moved(place, position + count)
        return records

    def done(self, records: Sequence[Record]) -> None:
        """These are handled: their offsets may be committed, but for those of partitions that it had to give back."""
        for record in records:
            place = record.topic, record.partition
            if place in self._positions:
                self._handled[place] = record.offset + 1

    @property
    def lag(self) -> int:
        """How many records the member has not got yet."""
        return sum(len(log) - self._positions[place] for place, log in self._logs.items())

    @property
    def uncommitted(self) -> bool:
        return bool(self._handled)

    def commit(self) -> None:
        self._committed.update(self._handled)
        self._handled.clear()

    def rejoin(self) -> None:
        """It dies, and a new one in its place goes on where offsets were committed; what was handled since is lost."""
        self._handled.clear()
        for place in self._positions:
            self._moved(place, self._committed[place])

    def go_back(self, count: int) -> None:
        """In each partition, by so many records: also behind the committed offset."""
        for place, position in self._positions.items():
            self._moved(place, max(0, position - count))

    def _moved(self, place: Place, position: int) -> None:
        self._positions[place] = position
        if position < len(self._logs[place]):
            self.unread[place] = None
        else:
            self.unread.pop(place, None)


class BrokerPublisher:
    """`services.engine.loop.Publisher` on a `Broker`, of one service.

    failures: number of a publishing -> how many events of it the broker takes, and how many it acknowledges
    """

    def __init__(self, broker: Broker, source: str, failures: dict[int, tuple[int, int]]) -> None:
        self._broker = broker
        self._source = source
        self._failures = failures
        self._count = 0

    def publish(
        self, events: Sequence[StoredEvent], halfway: Callable[[], None] | None
    ) -> tuple[list[int], TransientError | None]:
        self._count += 1
        fit = next((n for n, event in enumerate(events) if not _fits(event)), len(events))
        taken, known = self._failures.pop(self._count, (fit, fit))
        half = len(events) // 2
        for n, event in enumerate(events[: min(fit, taken)]):
            if halfway is not None and n == half:
                halfway()
            self._append(event)
        acknowledged = [event.seq for event in events[: min(fit, taken, known)]]
        return acknowledged, None if len(acknowledged) == len(events) else TransientError("the broker did not take all")

    def _append(self, event: StoredEvent) -> None:
        assert event.topic is not None
        headers = event.headers(self._source)
        self._broker.append(event.topic, event.key.encode(), dict(headers), event.payload)


def _fits(event: StoredEvent) -> bool:
    return event.topic is None or len(event.payload) <= RECORD_MAX_BYTES[event.topic]
