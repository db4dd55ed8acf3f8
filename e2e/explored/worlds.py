"""All services of a shop beside each other: from a world, every step to another.

What a service has still to read is, for each of its topics and each order, a queue of records: inside it their order is
kept, across queues there is none. A copy of a record that waits there already, or that its reader has in its inbox, is
not queued: whatever a service has handled is given to it again in every world (`Machine.twice`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from e2e.explored.machine import FIRE, START, Given, Machine, Outcome, Records
from services.engine.faults import Point

World = tuple[int, ...]
"""The state of each machine, the number of each queue's content, what was answered (a bit each), crashes to come."""
EMPTY = 0


class Step(NamedTuple):
    """`who` does `given`, and dies at `point`, or not."""

    who: str
    given: Given
    point: Point | None


class Asking(NamedTuple):
    """A request of a customer: it is repeated until it is answered.

    after: the request that must have been answered before; '' for none
    must:  the customer will ask; or else may, at any time
    """

    name: str
    service: str
    after: str = ""
    must: bool = True


class Shop:
    """The machines, and what leads from one world to another.

    whole_batches: a service may also read all that waits for it in one batch, as well as each record in one of its own
    late:          services whose timers fire only when nobody has anything to read
    """

    def __init__(
        self,
        machines: Sequence[Machine],
        records: Records,
        orders: Sequence[str],
        asking: Sequence[Asking],
        late: Sequence[str] = (),
        whole_batches: bool = True,
    ) -> None:
        self.machines = machines
        self.records = records
        self.asking = asking
        self._late = late
        self._whole_batches = whole_batches
        self._bits = {each.name: 1 << n for n, each in enumerate(asking)}
        self._must = sum(bit for each, bit in zip(asking, self._bits.values(), strict=True) if each.must)
        self._asked = {each.name: self._index(each.service) for each in asking}
        self._queues = [(n, t, o) for n, m in enumerate(machines) for t in m.participant.topics for o in orders]
        self._of = [[q for q, queue in enumerate(self._queues) if queue[0] == n] for n in range(len(machines))]
        self._contents: list[tuple[int, ...]] = [()]
        self._numbers: dict[tuple[int, ...], int] = {(): EMPTY}
        self._routes: list[list[int]] = []
        self._size = len(machines)

    def start(self, crashes: int) -> World:
        """Every service is up and has nothing to do, and the customer is about to ask."""
        locals_ = [machine.after(machine.first, START) for machine in self.machines]
        return (*locals_, *(EMPTY for _ in self._queues), 0, crashes)

    def following(self, world: World) -> Iterator[tuple[Step, World]]:
        """Every step, and where it leads; but for those that change nothing."""
        crashes = world[-1] > 0
        quiet = not any(world[self._size : -2])
        for n, machine in enumerate(self.machines):
            local = world[n]
            if not machine.locals[local].up:
                yield from self._steps(world, n, START, crashes)
                continue
            for given in self._readable(world, n):
                yield from self._steps(world, n, given, crashes)
            if machine.locals[local].content.timers and (quiet or machine.name not in self._late):
                yield from self._steps(world, n, FIRE, crashes)
            for given, outcome in machine.twice(local):
                yield Step(machine.name, given, None), self._after(world, n, outcome, None)
        for asking in self.asking:
            n = self._asked[asking.name]
            if self.machines[n].locals[world[n]].up and self._may_ask(world, asking):
                yield from self._steps(world, n, Given("ask", request=asking.name), crashes)

    def is_at_rest(self, world: World) -> bool:
        """Whether nothing more happens by itself: all is read, no timer runs, all that must be asked is answered."""
        return (
            not any(world[self._size : -2])
            and world[-2] & self._must == self._must
            and all(
                machine.locals[local].up and not machine.locals[local].content.timers
                for machine, local in zip(self.machines, world, strict=False)
            )
        )

    def answered(self, world: World) -> list[str]:
        return [name for name, bit in self._bits.items() if world[-2] & bit]

    def tell(self, step: Step) -> str:
        """A step in words."""
        who, given = step.who, step.given
        match given.kind:
            case "read":
                what = f"{who} handles {' and '.join(self.records.name(number) for number in given.records)}"
            case "ask":
                what = f"{who} is asked: {given.request}"
            case "fire":
                what = f"a timer of {who} fires"
            case "start":
                what = f"{who} starts"
        return what if step.point is None else f"{what}, and is killed at {step.point}"

    def _index(self, name: str) -> int:
        return next(n for n, machine in enumerate(self.machines) if machine.name == name)

    def _readable(self, world: World, n: int) -> Iterator[Given]:
        waiting = [self._contents[world[self._size + q]] for q in self._of[n]]
        several = 0
        for content in waiting:
            if content:
                several += len(content)
                yield Given("read", content[:1])
        if several > 1 and self._whole_batches:
            yield Given("read", tuple(record for content in waiting for record in content))

    def _may_ask(self, world: World, asking: Asking) -> bool:
        answered = world[-2]
        return not answered & self._bits[asking.name] and (
            not asking.after or bool(answered & self._bits[asking.after])
        )

    def _steps(self, world: World, n: int, given: Given, crashes: bool) -> Iterator[tuple[Step, World]]:
        for point, outcome in self.machines[n].outcomes(world[n], given, crashes):
            after = self._after(world, n, outcome, given)
            if point is not None:
                after = (*after[:-1], after[-1] - 1)
            if after != world:
                yield Step(self.machines[n].name, given, point), after

    def _after(self, world: World, n: int, outcome: Outcome, given: Given | None) -> World:
        """`given`: what was taken from the queues, or asked."""
        after = list(world)
        after[n] = outcome.local
        if given is not None and given.records:
            machine = self.machines[n]
            gone = {r for r in given.records if r not in outcome.again or machine.has_seen(outcome.local, r)}
            for q in self._of[n]:
                content = self._contents[world[self._size + q]]
                if content:
                    after[self._size + q] = self._number(tuple(record for record in content if record not in gone))
        if given is not None and given.request and outcome.replied:
            after[-2] |= self._bits[given.request]
        for record in outcome.said:
            for q in self._route(record):
                reader = self._queues[q][0]
                content = self._contents[after[self._size + q]]
                if record not in content and not self.machines[reader].has_seen(after[reader], record):
                    after[self._size + q] = self._number((*content, record))
        return tuple(after)

    def _route(self, number: int) -> list[int]:
        """The queues to which a record goes."""
        while len(self._routes) <= number:
            record = self.records.all[len(self._routes)]
            key = record.key.decode()
            self._routes.append(
                [
                    q
                    for q, (n, topic, order) in enumerate(self._queues)
                    if (topic, order) == (record.topic, key) and self.machines[n].hears(record)
                ]
            )
        return self._routes[number]

    def _number(self, content: tuple[int, ...]) -> int:
        if content not in self._numbers:
            self._numbers[content] = len(self._contents)
            self._contents.append(content)
        return self._numbers[content]
