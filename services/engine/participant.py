"""What a service says of itself: a table of handlers and of folds, both pure. The engine does all the rest.

A handler names the entities that it reads and may change, and decides: it returns effects and touches nothing. An event
names the one entity that it changes; folding an entity's events, in order, gives its state. Nothing here does I/O.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec
from google.protobuf.message import Message as Proto


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entity's state. Every field has a default: the state of an entity that nothing has happened to yet."""

    kind: ClassVar[str]


S = TypeVar("S", bound=State)


def key(kind: type[State], entity_id: str) -> str:
    """The name of an entity, for example `stock/product-1`."""
    return f"{kind.kind}/{entity_id}"


class States:
    """The states that a handler may read: those of the keys that it named, as they are at its turn in the batch."""

    def __init__(self, by_key: Mapping[str, State]) -> None:
        self._by_key = by_key

    def get(self, kind: type[S], entity_id: str) -> S:
        """The entity's state. KeyError if the handler did not name it."""
        state = self._by_key[key(kind, entity_id)]
        assert isinstance(state, kind)
        return state


class Event(NamedTuple):
    """`entity` (see `key`) changes by `body`, which is stored, and published if its type is public."""

    entity: str
    body: Proto


class Fold(NamedTuple):
    """`entity` of a read model changes by `body`; nothing is stored but the new state."""

    entity: str
    body: Any


class StartTimer(NamedTuple):
    """Fire `TimerFired(entity, name)` after `after_s` seconds. Starting a running timer again moves it."""

    entity: str
    name: str
    after_s: float


class StopTimer(NamedTuple):
    entity: str
    name: str


class Reply(NamedTuple):
    """The answer to an RPC command; ignored where the command came from Kafka."""

    body: Proto


class Refusal(NamedTuple):
    """An RPC command is refused: `code` is a gRPC status code, `field` the path of the field at fault or ''.

    No event may stand beside a refusal.
    """

    code: int
    message: str
    field: str = ""


Effect = Event | Fold | StartTimer | StopTimer | Reply | Refusal


class TimerFired(msgspec.Struct, frozen=True):
    """The command that a timer gives when it is due."""

    entity: str
    name: str

    @property
    def entity_id(self) -> str:
        return self.entity.partition("/")[2]


def key_of_timer(command: TimerFired) -> Sequence[str]:
    """The keys of a handler of timers: the entity that the timer belongs to."""
    return [command.entity]


class Handler(NamedTuple):
    """How one type of command is handled.

    keys:   command -> the entities that it reads and may change
    decide: (states, command) -> effects; pure, and for RPC commands idempotent by state
    """

    keys: Callable[[Any], Sequence[str]]
    decide: Callable[[States, Any], Iterable[Effect]]


class Received(NamedTuple):
    """An event as a service receives it: what a translation to a command may look at.

    partition: of its record
    """

    body: Proto
    id: str
    source: str
    time_us: int
    partition: int = 0


class IndexRow(NamedTuple):
    """Where an entity of a read model is found: in the index `name`, in `bucket`, in the order of `position`."""

    name: str
    bucket: str
    position: str


class CannotHappen(Exception):
    """The saga's table says that this command never meets this state. The message is dead-lettered."""


@dataclass(frozen=True)
class Participant:
    """A service, for the engine.

    name:     the service's name: CloudEvents source, dead-letter topic
    topics:   what it consumes
    group:    its consumer group, if that is not its name: who may be told by one of two paths has one for each
    consumes: full name of an event's type -> (its class, translation to the command that it means here)
    handlers: class of a command -> Handler
    folds:    class of an event -> (state, event) -> next state
    states:   the kinds of entities that it has
    public:   full name of an event's type -> topic; every other event is private
    at_start: commands that are handled before anything else, at every start (so idempotent by state)
    about:    command -> what its log lines carry, for example the order's id
    indexes:  of a read model: state -> the rows of its indexes; the engine keeps them in step with the state
    keeps_log: of a read model: whether every event that it handles is kept in its event log
    unhurried: of `consumes`, those that nobody waits for: they are handled with what comes next, or some 100 ms later
    patience_s: how long its records may wait for others, so that they come together; 0 for all that an ending waits for
    """

    name: str
    topics: Sequence[str]
    consumes: Mapping[str, tuple[type[Proto], Callable[[Received], Any]]]
    handlers: Mapping[type[Any], Handler]
    folds: Mapping[type[Any], Callable[[Any, Any], State]]
    states: Sequence[type[State]]
    public: Mapping[str, str] = field(default_factory=dict[str, str])
    at_start: Sequence[Any] = ()
    about: Callable[[Any], dict[str, str]] = lambda _: {}
    indexes: Callable[[Any], Iterable[IndexRow]] | None = None
    keeps_log: bool = False
    group: str = ""
    unhurried: frozenset[str] = frozenset()
    patience_s: float = 0.0

    @property
    def consumer_group(self) -> str:
        return self.group or self.name

    @cached_property
    def consumes_by_header(self) -> Mapping[bytes | None, tuple[str, type[Proto], Callable[[Received], Any]]]:
        """What a record's type header means: full name of the type, its class, its translation."""
        return {name.encode(): (name, cls, translate) for name, (cls, translate) in self.consumes.items()}

    @cached_property
    def urgent_headers(self) -> frozenset[bytes | None]:
        """The type headers of records that have to be handled at once."""
        return frozenset(name.encode() for name in self.consumes if name not in self.unhurried)

    @cached_property
    def kinds(self) -> Mapping[str, type[State]]:
        """The first part of an entity's name -> the class of its state."""
        return {kind.kind: kind for kind in self.states}
