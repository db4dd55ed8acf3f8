"""One service as a machine: numbered states, and where each input leads from each, by the real engine, once.

Services share nothing but the broker. So what one of them does with an input depends on its own state alone: the engine
runs once for each pair of the two, however many worlds there are in which that happens.

A state is that of a service between two batches, which has marked what it has published and committed its offsets. One
that has not yet is no state of its own: dying then is dying at `before-offset-commit` of the batch before, and what
comes again after it is given again in every world anyway (`twice`). Its clock stands, but that a timer fires at the
time at which it is due.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from e2e.simulated.broker import Broker
from e2e.simulated.scenario import START_US
from e2e.simulated.world import Clock, Killed, Service
from services.engine.faults import Fault, Point
from services.engine.memory import Content, MemoryStore
from services.engine.messages import Message, Record, type_name
from services.engine.participant import Participant

POINTS: tuple[Point, ...] = get_args(Point)
ALL = 1000


class Given(NamedTuple):
    """An input: records to read, by number; the name of a request; that the next timer is due; that it starts."""

    kind: Literal["read", "ask", "fire", "start"]
    records: tuple[int, ...] = ()
    request: str = ""


START, FIRE = Given("start"), Given("fire")


class Wrong(Exception):
    """What must never be: `cause` says what, and, if it came by a step of a machine, `step` says which."""

    def __init__(self, cause: str, step: tuple[str, Given, Point | None] | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.step = step


class Local(NamedTuple):
    """A state of one service. `said`: what the topics hold of it, the first copies in order, by number."""

    store: MemoryStore
    content: Content
    up: bool
    said: tuple[int, ...]


class Outcome(NamedTuple):
    """Where an input leads: to the state `local`.

    said:    numbers of the records that the broker took
    again:   of the records that were read, those that are read again after it
    replied: the request was answered
    """

    local: int
    said: tuple[int, ...]
    again: tuple[int, ...]
    replied: bool


class Records:
    """All records by number: the same content is the same number, wherever it stands."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}
        self.all: list[Record] = []
        self.ids: list[str] = []

    def number(self, record: Record) -> int:
        content = (record.topic, record.key, tuple(sorted(record.headers.items())), record.value)
        if content not in self._numbers:
            self._numbers[content] = len(self.all)
            self.all.append(record)
            self.ids.append(record.headers["ce_id"].decode())
        return self._numbers[content]

    def name(self, number: int) -> str:
        return self.all[number].headers["ce_type"].decode().rpartition(".")[2]


class Machine:
    """A participant's states as they are reached. The first one is that of a service that has never started.

    requests: what it may be asked, by name, each with the id of its message
    hold:     is given every new state; raises Wrong
    """

    def __init__(
        self,
        participant: Participant,
        records: Records,
        requests: Mapping[str, tuple[str, Any]],
        hold: Callable[[str, Local], None],
    ) -> None:
        self.name = participant.name
        self.participant = participant
        self._records = records
        self._requests = requests
        self._hold = hold
        self._choose = random.Random(0)
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._steps: dict[tuple[int, Given, Point | None], Outcome | None] = {}
        self._twice: dict[int, list[tuple[Given, Outcome]]] = {}
        self.locals: list[Local] = []
        store = MemoryStore()
        self.first = self._number(Local(store, store.content(), up=False, said=()))

    @property
    def runs(self) -> int:
        """How often the engine ran."""
        return len(self._steps)

    def hears(self, record: Record) -> bool:
        """Whether the record is of a topic that it reads, and of a type that it knows."""
        participant = self.participant
        return record.topic in participant.topics and record.headers["ce_type"] in participant.consumes_by_header

    def has_seen(self, local: int, record: int) -> bool:
        return self._records.ids[record] in self.locals[local].content.inbox

    def step(self, local: int, given: Given, point: Point | None = None) -> Outcome | None:
        """With a point: where it dies there. None if it does not come to that point."""
        key = (local, given, point)
        if key not in self._steps:
            try:
                self._steps[key] = self._run(self.locals[local], given, point)
            except Exception as error:
                cause = error.cause if isinstance(error, Wrong) else f"error: {type(error).__name__}: {error}"
                raise Wrong(cause, (self.name, given, point)) from error
        return self._steps[key]

    def after(self, local: int, given: Given) -> int:
        """The state to which an input leads, if nothing goes wrong."""
        outcome = self.step(local, given)
        assert outcome is not None, "without a point there is an outcome"
        return outcome.local

    def outcomes(self, local: int, given: Given, crashes: bool) -> list[tuple[Point | None, Outcome]]:
        """All that an input can lead to."""
        points: Sequence[Point | None] = (None, *POINTS) if crashes else (None,)
        found: list[tuple[Point | None, Outcome]] = []
        for point in points:
            outcome = self.step(local, given, point)
            if outcome is not None:
                found.append((point, outcome))
        return found

    def twice(self, local: int) -> list[tuple[Given, Outcome]]:
        """Each record that it has handled comes again: those that lead anywhere else. There should be none."""
        if local not in self._twice:
            found: list[tuple[Given, Outcome]] = []
            for number in range(len(self._records.all)):
                if self.hears(self._records.all[number]) and self.has_seen(local, number):
                    given = Given("read", (number,))
                    outcome = self.step(local, given)
                    if outcome is not None and outcome.local != local:
                        found.append((given, outcome))
            self._twice[local] = found
        return self._twice[local]

    def _run(self, before: Local, given: Given, point: Point | None) -> Outcome | None:
        broker, clock = Broker(), Clock(START_US)
        sent = [self._records.all[number] for number in given.records]
        records = [broker.append(r.topic, r.key, dict(r.headers), r.value) for r in sent]
        service = Service(self.participant, broker, clock, {}, 0, lambda _: None, before.store.copy())
        answers: list[Any] = []
        if point is not None:
            service.faults.arm(Fault(point, "kill"))
        try:
            if given.kind == "start":
                service.start()
            else:
                service.resume()
                if given.kind == "fire":
                    assert service.due_us is not None
                    clock.now_us = service.due_us
                if given.kind == "ask":
                    cause_id, body = self._requests[given.request]
                    service.mailbox.append(Message(cause_id, body, type_name(body), answer=answers.append))
                service.handle(records)
            service.tell()
        except Killed:
            service.die()
        if service.is_up and point is not None:
            return None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return self._outcome(before, service, broker, given, records, bool(answers))

    def _outcome(
        self,
        before: Local,
        service: Service,
        broker: Broker,
        given: Given,
        records: Sequence[Record],
        replied: bool,
    ) -> Outcome:
        service.group.rejoin()
        left: set[str] = set()
        while service.group.unread:
            left.update(record.place for record in service.group.take(self._choose, ALL))
        read = {record.place for record in records}
        said = tuple(
            self._records.number(record) for log in broker.logs.values() for record in log if record.place not in read
        )
        again = tuple(n for n, record in zip(given.records, records, strict=True) if record.place in left)
        new = dict.fromkeys(number for number in said if number not in before.said)
        after = Local(service.store, service.store.content(), service.is_up, (*before.said, *new))
        return Outcome(self._number(after), said, again, replied)

    def _number(self, local: Local) -> int:
        key = local[1:]
        if key not in self._numbers:
            self._hold(self.name, local)
            self._numbers[key] = len(self.locals)
            self.locals.append(local)
        return self._numbers[key]
