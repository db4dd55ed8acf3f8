"""A broker in memory: topics with partitions, records in order inside a partition only, groups with offsets."""

import random
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from services.engine.messages import Record, encode_headers
from services.engine.retry import TransientError
from services.engine.store import StoredEvent
from services.topics import TOPICS

Place = tuple[str, int]
"""A topic and a partition of it."""
SOME_SHARE, PART_SHARE = 0.5, 0.3
"""How often some partitions are read and not all that could be, and of one of them a part."""


class Broker:
    """Keeps every record of every topic."""

    def __init__(self) -> None:
        self.logs: dict[Place, list[Record]] = {(t.name, p): [] for t in TOPICS for p in range(t.partitions)}
        self._partitions = {topic.name: topic.partitions for topic in TOPICS}
        self._groups: dict[str, list[Group]] = defaultdict(list)

    def append(self, topic: str, key: bytes, headers: dict[str, bytes], value: bytes) -> Record:
        """The record, where it stands now: records of one key stand in one partition."""
        place = (topic, zlib.crc32(key) % self._partitions[topic])
        log = self.logs[place]
        record = Record(topic, place[1], len(log), key, headers, value)
        log.append(record)
        for group in self._groups[topic]:
            group.unread[place] = None
        return record

    def group(self, topics: Sequence[str]) -> "Group":
        """A new consumer group with one member, from the beginning."""
        places = [place for place in self.logs if place[0] in topics]
        group = Group({place: self.logs[place] for place in places})
        for topic in topics:
            self._groups[topic].append(group)
        return group


class Group:
    """A consumer group with one member.

    unread: the partitions that have records which the member has not got yet
    """

    def __init__(self, logs: dict[Place, list[Record]]) -> None:
        self._logs = logs
        self._positions = dict.fromkeys(logs, 0)
        self._handled: dict[Place, int] = {}
        self._committed = dict.fromkeys(logs, 0)
        self.unread: dict[Place, None] = {place: None for place, log in logs.items() if log}

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
        """These are handled: their offsets may be committed."""
        for record in records:
            self._handled[record.topic, record.partition] = record.offset + 1

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
        """A new member goes on where the offsets were committed; what was handled since is not known to it."""
        self._handled.clear()
        for place, offset in self._committed.items():
            self._moved(place, offset)

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
        taken, known = self._failures.pop(self._count, (len(events), len(events)))
        half = len(events) // 2
        for n, event in enumerate(events[:taken]):
            if halfway is not None and n == half:
                halfway()
            self._append(event)
        acknowledged = [event.seq for event in events[: min(taken, known)]]
        return acknowledged, None if len(acknowledged) == len(events) else TransientError("the broker is away")

    def _append(self, event: StoredEvent) -> None:
        assert event.topic is not None
        headers = encode_headers(
            message_id=event.message_id,
            type_name=event.type,
            source=self._source,
            time_us=event.time_us,
            traceparent=event.traceparent,
            cause_id=event.cause_id,
        )
        self._broker.append(event.topic, event.key.encode(), dict(headers), event.payload)
