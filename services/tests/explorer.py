"""Every interleaving of the sagas of one or a few orders, by the real participants as pure functions.

The world is: what each participant has stored, the topics, and how far each participant has read each of them. A step
is one of: a participant reads the next event of one of its topics (each order's events of a topic in order, all else
in any order), a timer fires, the customer asks to cancel. `explore` walks all of them, depth first, each world once.

A message may come any number of times: in every world, each participant is given again whatever it has read before,
and must neither say nor change anything. So worlds with duplicates are no other worlds, and need no walk of their own.
There is no inbox here: participants are idempotent by their state alone.

With both modes of the saga at once, everybody reads on either path whenever it likes. So what is walked is every way of
switching the mode: at any point, of one participant after the other, to and fro, as often as one likes. An end is then
where nothing can happen as long as everybody stays in one mode, whatever is still unread on the other path.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from google.protobuf.message import Message as Proto
from shop.order.v1.service_pb2 import CancelOrderRequest, PlaceOrderRequest

from services import saga
from services.engine.participant import Effect, Event, Participant, Received, StartTimer, State, StopTimer, TimerFired
from services.tests.given import decide, fold
from services.topics import COMMAND_TOPICS, DOMAIN_TOPICS

TOPICS = (*(topic for topic in DOMAIN_TOPICS if topic != "notification"), *COMMAND_TOPICS)
"""Those that a participant reads; what is said elsewhere (notifications) is only counted."""
TOPIC_OF: Mapping[str, str] = {**saga.PUBLIC, **saga.COMMANDS}


class Local(NamedTuple):
    """One participant: its entities, its running timers, and all that it has said (numbers of events, sorted)."""

    entities: Mapping[str, State]
    timers: frozenset[tuple[str, str]]
    said: tuple[int, ...]


class Step(NamedTuple):
    """Where an input leads: the number of the next Local, and the numbers of the public events."""

    local: int
    published: tuple[int, ...]


class World(NamedTuple):
    """Numbers of Locals; events by channel; each participant's position in each; which orders were asked to stop.

    A channel is what keeps its order: one order's events of one topic.
    """

    locals: tuple[int, ...]
    logs: tuple[tuple[int, ...], ...]
    read: tuple[tuple[int, ...], ...]
    asked: frozenset[int]


class Events:
    """Events by number: the same type and content is the same number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, bytes], int] = {}
        self.bodies: list[Proto] = []

    def number(self, body: Proto) -> int:
        content = (saga.full_name(type(body)), body.SerializeToString(deterministic=True))
        if content not in self._numbers:
            self._numbers[content] = len(self.bodies)
            self.bodies.append(body)
        return self._numbers[content]

    def received(self, number: int) -> Received:
        """The event as a consumer gets it."""
        body = self.bodies[number]
        service = body.DESCRIPTOR.full_name.split(".")[1]
        return Received(body, f"id-{number}", f"/sagaproof/{service}", 1_000_000 + number)


class Machine:
    """A participant as a machine of numbered states, which are made as they are reached.

    check: is given every new Local, and every step: (before, after)
    """

    def __init__(
        self,
        participant: Participant,
        events: Events,
        channels: Sequence[tuple[str, str]],
        topics: Mapping[saga.Mode, Sequence[str]],
        deaf_to: AbstractSet[type[Proto]],
        check: Callable[..., None],
    ) -> None:
        self.participant = participant
        self._events = events
        self._check = check
        self._deaf_to = deaf_to
        self._numbers: dict[bytes, int] = {}
        self._steps: dict[tuple[int, int | TimerFired], Step] = {}
        self._idle: set[tuple[int, int]] = set()
        self.locals: list[Local] = []
        self.paths = {mode: [n for n, (topic, _) in enumerate(channels) if topic in topics[mode]] for mode in topics}
        self.channels = sorted({channel for path in self.paths.values() for channel in path})
        start = Local({}, frozenset(), ())
        self.start = self._number(start)
        for command in participant.at_start:
            self.start = self.carry_out(self.start, command).local

    def hears(self, event: int) -> bool:
        body = self._events.bodies[event]
        return type(body) not in self._deaf_to and saga.full_name(type(body)) in self.participant.consumes

    def take(self, local: int, event: int) -> Step:
        known = self._steps.get((local, event))
        if known is None:
            received = self._events.received(event)
            _, translate = self.participant.consumes[saga.full_name(type(received.body))]
            known = self._steps[local, event] = self.carry_out(local, translate(received))
        return known

    def fire(self, local: int, timer: TimerFired) -> Step:
        known = self._steps.get((local, timer))
        if known is None:
            known = self._steps[local, timer] = self.carry_out(local, timer)
        return known

    def stays_idle(self, local: int, events: Iterator[int]) -> None:
        """Asserts that none of these events, which it has read, does anything when it comes again."""
        for event in events:
            if (local, event) not in self._idle and self.hears(event):
                assert self.take(local, event) == Step(local, ()), f"{self._events.bodies[event]} did something again"
                self._idle.add((local, event))

    def carry_out(self, local: int, command: Any) -> Step:
        before = self.locals[local]
        effects = decide(self.participant, before.entities, command)
        bodies = [effect.body for effect in effects if isinstance(effect, Event)]
        said = [self._events.number(body) for body in bodies]
        after = Local(
            fold(self.participant, before.entities, effects),
            _timers(before.timers, command, effects),
            tuple(sorted((*before.said, *said))),
        )
        number = self._number(after)
        self._check(before, after)
        public = tuple(n for n, body in zip(said, bodies, strict=True) if topic_of(body) in TOPICS)
        return Step(number, public)

    def _number(self, local: Local) -> int:
        content = msgspec.json.encode((local.entities, sorted(local.timers), local.said), order="sorted")
        if content not in self._numbers:
            self._numbers[content] = len(self.locals)
            self.locals.append(local)
        return self._numbers[content]


def topics_of(participant: Participant, mode: saga.Mode) -> Sequence[str]:
    """What it reads in this mode."""
    if participant.name == "orchestrator":
        return participant.topics if mode == "orchestrated" else ()
    return saga.path_of(participant.name, mode).topics


def topic_of(body: Proto) -> str | None:
    """Of an event or a command; None if it is private."""
    return TOPIC_OF.get(saga.full_name(type(body)))


def _timers(running: frozenset[tuple[str, str]], command: Any, effects: Sequence[Effect]) -> frozenset[tuple[str, str]]:
    if isinstance(command, TimerFired):
        running -= {(command.entity, command.name)}
    for effect in effects:
        if isinstance(effect, StopTimer):
            running -= {(effect.entity, effect.name)}
        elif isinstance(effect, StartTimer):
            running |= {(effect.entity, effect.name)}
    return running


@dataclass
class Explored:
    """What was seen: how many worlds, and those in which nothing can happen any more."""

    worlds: int = 0
    ends: list[World] = field(default_factory=list[World])


class Saga:
    """Some orders, from their acceptance on.

    check:    is given every step of a participant: its Local before and after
    modes:    those that the saga may run in, at any point
    eager:    what does nothing is read at once. That spares worlds and loses none: what does nothing now does nothing
              later, which is asserted of all that was read.
    cancel:   the customer may ask at any point (and asks again at every later one)
    deadline: it may fire at any point; otherwise only when nothing else can happen
    deaf:     (participant, type of event): messages that are lost on their way, as if dead-lettered
    """

    def __init__(
        self,
        participants: Sequence[Participant],
        requests: Sequence[PlaceOrderRequest],
        check: Callable[[Local, Local], None],
        *,
        modes: Sequence[saga.Mode] = ("choreographed",),
        eager: bool = False,
        cancel: bool = False,
        deadline: bool = False,
        deaf: AbstractSet[tuple[str, type[Proto]]] = frozenset(),
    ) -> None:
        self.events = Events()
        self._modes = modes
        self._eager = eager
        self._channels = [(topic, request.order_id) for request in requests for topic in TOPICS]
        self.machines = [
            Machine(
                p,
                self.events,
                self._channels,
                {mode: topics_of(p, mode) for mode in modes},
                {event for name, event in deaf if name == p.name},
                check,
            )
            for p in participants
        ]
        self._order = next(n for n, p in enumerate(participants) if p.name == "order")
        self._requests = requests
        self._cancels = [CancelOrderRequest(order_id=request.order_id) for request in requests if cancel]
        self._deadline = deadline

    def explore(self, check: Callable[[World], None] = lambda _: None) -> Explored:
        """Walks every world; `check` is given each once."""
        start = self._start()
        found = Explored()
        seen, waiting = {start}, [start]
        while waiting:
            world = waiting.pop()
            found.worlds += 1
            check(world)
            self._nothing_happens_twice(world)
            quiet = any(self._is_quiet(world, mode) for mode in self._modes)
            if quiet and not any(m.locals[local].timers for m, local in zip(self.machines, world.locals, strict=True)):
                found.ends.append(world)
            following = {*self._following(world, quiet), *self._cancelled(world)}
            fresh = [other for other in following if other not in seen]
            seen.update(fresh)
            waiting += fresh
        return found

    def one_way(self) -> list[Proto]:
        """What is published, in its order, if of all that may happen next always the first happens."""
        world: World | None = self._start()
        said: list[int] = []
        while world is not None:
            said += [n for log in world.logs for n in log if n not in said]
            quiet = any(self._is_quiet(world, mode) for mode in self._modes)
            world = next(self._following(world, quiet), None)
        return [self.events.bodies[n] for n in said]

    def _start(self) -> World:
        """All orders are accepted, and nobody has heard of it."""
        nothing = (0,) * len(self._channels)
        start = World(
            tuple(m.start for m in self.machines),
            ((),) * len(self._channels),
            (nothing,) * len(self.machines),
            frozenset(),
        )
        for request in self._requests:
            start = self._after(start, self._order, self._carry_out(start, request))
        return start

    def local(self, world: World, name: str) -> Local:
        n = next(n for n, machine in enumerate(self.machines) if machine.participant.name == name)
        return self.machines[n].locals[world.locals[n]]

    def _is_quiet(self, world: World, mode: saga.Mode) -> bool:
        """Whether there is nothing to read in this mode."""
        return all(
            world.read[n][channel] == len(world.logs[channel])
            for n, machine in enumerate(self.machines)
            for channel in machine.paths[mode]
        )

    def _following(self, world: World, quiet: bool) -> Iterator[World]:
        """What happens by itself."""
        for n, machine in enumerate(self.machines):
            for channel in machine.channels:
                if world.read[n][channel] < len(world.logs[channel]):
                    step = machine.take(world.locals[n], world.logs[channel][world.read[n][channel]])
                    yield self._after(world, n, step, channel)
        for n, machine in enumerate(self.machines):
            for timer in sorted(machine.locals[world.locals[n]].timers):
                if quiet or self._deadline or n != self._order:
                    yield self._after(world, n, machine.fire(world.locals[n], TimerFired(*timer)))

    def _cancelled(self, world: World) -> Iterator[World]:
        for n, cancel in enumerate(self._cancels):
            if n not in world.asked:
                after = self._after(world, self._order, self._carry_out(world, cancel))
                yield after._replace(asked=world.asked | {n})

    def _carry_out(self, world: World, request: Any) -> Step:
        return self.machines[self._order].carry_out(world.locals[self._order], request)

    def _nothing_happens_twice(self, world: World) -> None:
        for n, machine in enumerate(self.machines):
            read = (event for c in machine.channels for event in world.logs[c][: world.read[n][c]])
            machine.stays_idle(world.locals[n], read)
        here = Step(world.locals[self._order], ())
        assert all(self._carry_out(world, request) == here for request in self._requests)
        assert all(self._carry_out(world, self._cancels[n]) == here for n in world.asked)

    def _after(self, world: World, n: int, step: Step, channel: int | None = None) -> World:
        logs = list(world.logs)
        for event in step.published:
            body: Any = self.events.bodies[event]
            at = self._channels.index((TOPIC_OF[body.DESCRIPTOR.full_name], body.order.order_id))
            logs[at] = (*logs[at], event)
        read = list(world.read)
        if channel is not None:
            read[n] = (*read[n][:channel], read[n][channel] + 1, *read[n][channel + 1 :])
        numbers = (*world.locals[:n], step.local, *world.locals[n + 1 :])
        skipped = [self._skip(*parts, logs) for parts in zip(self.machines, numbers, read, strict=True)]
        return World(numbers, tuple(logs), tuple(skipped), world.asked)

    def _skip(
        self, machine: Machine, local: int, read: tuple[int, ...], logs: Sequence[tuple[int, ...]]
    ) -> tuple[int, ...]:
        """Events that mean nothing to a participant are read over at once."""
        positions = list(read)
        for channel in machine.channels:
            log = logs[channel]
            while positions[channel] < len(log) and self._means_nothing(machine, local, log[positions[channel]]):
                positions[channel] += 1
        return tuple(positions)

    def _means_nothing(self, machine: Machine, local: int, event: int) -> bool:
        return not machine.hears(event) or (self._eager and machine.take(local, event) == Step(local, ()))
