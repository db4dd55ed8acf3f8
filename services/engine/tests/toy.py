"""A tiny participant for the engine's tests, with what an engine needs around it: counters that messages add to."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import msgspec
from google.protobuf.wrappers_pb2 import BoolValue, Int32Value, StringValue

from services.engine.messages import Message, Record, encode_headers
from services.engine.participant import (
    CannotHappen,
    Effect,
    Event,
    Handler,
    Participant,
    Received,
    Refusal,
    Reply,
    StartTimer,
    State,
    States,
    StopTimer,
    TimerFired,
    key,
    key_of_timer,
)
from services.engine.retry import TransientError
from services.engine.store import StoredEvent

SAID = "google.protobuf.StringValue"
"""The type of the events that the toy consumes: `NAME WHAT`, see `do`."""
COUNTED = "google.protobuf.Int32Value"
"""The type of its public events: the counter's new value."""
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
START_US = 1_700_000_000_000_000
TICK_S = 10.0


class Counter(State, frozen=True):
    """counter/<name>; `marked` is set by a private event."""

    kind: ClassVar[str] = "counter"
    count: int = 0
    marked: bool = False


class Do(msgspec.Struct, frozen=True):
    """What a consumed event means."""

    name: str
    what: str


class Add(msgspec.Struct, frozen=True):
    """An RPC command; refused if `by` is 0, with a change beside it if it is negative (which is a bug)."""

    name: str
    by: int


def keys_of(command: Do | Add) -> list[str]:
    return [key(Counter, command.name)]


def counted(states: States, name: str, by: int = 1) -> Event:
    return Event(key(Counter, name), Int32Value(value=states.get(Counter, name).count + by))


def do(states: States, command: Do) -> Iterable[Effect]:
    """add: counts; mark: changes privately; start, stop: the timer; the rest goes wrong in its own way."""
    entity = key(Counter, command.name)
    match command.what:
        case "add":
            yield counted(states, command.name)
        case "mark":
            yield Event(entity, BoolValue(value=True))
        case "both":
            yield from (counted(states, command.name), Event(entity, BoolValue(value=True)))
        case "nothing":
            pass
        case "start":
            yield StartTimer(entity, "tick", TICK_S)
        case "stop":
            yield StopTimer(entity, "tick")
        case "fail":
            yield counted(states, command.name)
            raise CannotHappen("not in this state")
        case "reach":  # for an entity that it did not name
            yield Event(key(Counter, "another"), BoolValue(value=True))
        case "peek":
            states.get(Counter, "another")
        case _:
            raise ValueError(command.what)


def add(states: States, command: Add) -> Iterable[Effect]:
    if command.by <= 0:
        yield Refusal(3, "nothing to add", "by")
    if command.by != 0:
        yield counted(states, command.name, command.by)
    if command.by > 0:
        yield Reply(Int32Value(value=states.get(Counter, command.name).count + command.by))


def tick(states: States, command: TimerFired) -> Iterable[Effect]:
    """Counts, and runs on until three are counted; a counter that is called `broken` cannot tick."""
    if command.entity_id == "broken":
        raise CannotHappen("it cannot tick")
    event = counted(states, command.entity_id)
    yield event
    if states.get(Counter, command.entity_id).count < 2:
        yield StartTimer(command.entity, "tick", TICK_S)


def translate(received: Received) -> Do:
    assert isinstance(received.body, StringValue)
    name, what = received.body.value.split(" ")
    return Do(name, what)


def count(state: Counter, event: Int32Value) -> Counter:
    return msgspec.structs.replace(state, count=event.value)


def mark(state: Counter, event: BoolValue) -> Counter:
    return msgspec.structs.replace(state, marked=event.value)


def toy(at_start: Sequence[Add] = ()) -> Participant:
    return Participant(
        name="toy",
        topics=["said"],
        consumes={SAID: (StringValue, translate)},
        handlers={
            Do: Handler(keys_of, do),
            Add: Handler(keys_of, add),
            TimerFired: Handler(key_of_timer, tick),
        },
        folds={Int32Value: count, BoolValue: mark},
        states=(Counter,),
        public={COUNTED: "counted"},
        at_start=at_start,
    )


def said(text: str, message_id: str = "", offset: int = 0) -> Record:
    """The record of an event `NAME WHAT`; without an id it gets one of its offset."""
    name = text.split(" ", maxsplit=1)[0]
    headers = encode_headers(
        message_id=message_id or f"said-{offset}",
        type_name=SAID,
        source="test",
        time_us=START_US,
        traceparent=TRACE,
        cause_id="",
    )
    return Record("said", 0, offset, name.encode(), dict(headers), StringValue(value=text).SerializeToString())


def several(*texts: str) -> list[Record]:
    """Records of these events, one behind the other."""
    return [said(text, offset=n) for n, text in enumerate(texts)]


class Answers:
    """What an RPC was answered, and what was true at that moment."""

    def __init__(self, look: Callable[[], object] = lambda: None) -> None:
        self._look = look
        self.given: list[Reply | Refusal | Exception] = []
        self.seen: list[object] = []

    def __call__(self, answer: Reply | Refusal | Exception) -> None:
        self.given.append(answer)
        self.seen.append(self._look())


def rpc(command: Add, message_id: str, answer: Answers) -> Message:
    return Message(message_id, command, "Add", TRACE, answer=answer)


class Broker:
    """An in-memory `Publisher`: `sent` is what it took. `take_only` gives, for each try, how many events it takes."""

    def __init__(self) -> None:
        self.sent: list[StoredEvent] = []
        self.take_only: list[int] = []
        self.tries: list[list[int]] = []

    def publish(
        self, events: Sequence[StoredEvent], halfway: Callable[[], None] | None
    ) -> tuple[list[int], TransientError | None]:
        self.tries.append([event.seq for event in events])
        taken = events[: self.take_only.pop(0)] if self.take_only else events
        for n, event in enumerate(taken):
            if halfway is not None and n == len(events) // 2:
                halfway()
            self.sent.append(event)
        error = None if len(taken) == len(events) else TransientError("the broker went away")
        return [event.seq for event in taken], error

    @property
    def values(self) -> list[tuple[str, int]]:
        """(key, value) of the counted events, in the order of sending."""
        return [(e.key, Int32Value.FromString(e.payload).value) for e in self.sent if e.type == COUNTED]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        return self.now_us

    def pass_s(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)
