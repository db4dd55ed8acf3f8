"""One run of a simulated shop: a scenario and a seed in, a history out; the same in, the same out, byte for byte.

A step is one of: a service handles a batch, tells what it has done (marks, offsets), sweeps; or the clock moves on.
Time passes with each step, and jumps to what comes next when there is nothing to do. Now and then it jumps although
there is, as it would with services that are slow; never so far that an order could not end in time.
"""

import heapq
import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

from e2e.history import FaultSpan, History, Poisoned
from e2e.simulated.broker import Broker
from e2e.simulated.customers import Customers, Request
from e2e.simulated.poison import poison, services_that_bury
from e2e.simulated.scenario import (
    START_US,
    Deposit,
    Fault,
    Kill,
    KillAt,
    Order,
    Poison,
    Redeliver,
    Restock,
    Scenario,
    Skew,
    Stop,
    Unreachable,
)
from e2e.simulated.taking import take
from e2e.simulated.world import Clock, Killed, Service, participants
from services.engine import faults as engine_faults
from services.engine.loop import BATCH_MAX
from services.engine.participant import State
from services.order.decider import OrderState
from services.status.fold import StatusState

STEP_US = 5_000
"""How long a step takes at most."""
DOWN_US = (1_000, 3_000_000)
"""How long a killed service stays down."""
ASK_AGAIN_US = (10_000, 1_000_000)
"""How long a customer waits before the request is sent again."""
LATE_US = 5_000_000
"""By jumps the clock comes at most so far behind the deadline of an open order, or else only so far before it."""
STEPS_MAX = 20_000
HURRY: Mapping[str, float] = dict.fromkeys(("notification", "status", "marketing"), 0.3)
"""No ending waits for these: what they read comes together."""
TELL_SHARE, SWEEP_SHARE, JUMP_SHARE, LOST_SHARE = 0.15, 0.005, 0.01, 0.03
"""Of all steps, those that tell, sweep, jump; of all answers, those that are lost on their way."""


class DoesNotEnd(Exception):
    """There was still something to do after as many steps as no shop should need."""


def simulate(scenario: Scenario, seed: int) -> History:
    """What happens to a shop. Raises DoesNotEnd, and whatever error a service does not handle."""
    run = Run(scenario, random.Random(seed))
    for _ in range(STEPS_MAX):
        if not run.step():
            return take(scenario, run.services, run.broker, run.customers, run.faults, run.poisoned, run.clock.now_us)
    raise DoesNotEnd(f"after {STEPS_MAX} steps with seed {seed}")


class Run:
    """A shop and its scenario, a step at a time; whoever drives it may ask and break more than the scenario says."""

    def __init__(self, scenario: Scenario, choose: random.Random) -> None:
        self.clock = Clock(START_US)
        self.broker = Broker()
        self.customers = Customers(self.clock)
        self.faults: list[FaultSpan] = []
        self.poisoned: list[Poisoned] = []
        self._scenario = scenario
        self._choose = choose
        self._numbers = count()
        self._coming: list[tuple[int, int, Callable[[], None]]] = []
        self._asking: dict[str, list[Request]] = {}
        self._must_end_us: dict[str, int] = {}
        self.services = self._build()
        self._weights = {name: (choose.random() + 0.02) * HURRY.get(name, 1.0) for name in self.services}
        for service in self.services.values():
            self.start(service)
        self._plan()

    def step(self) -> bool:
        """Whether there was anything to do."""
        self._do_what_has_come()
        able = [service for service in self.services.values() if service.has_work]
        chance = self._choose.random()
        if able and chance >= TELL_SHARE + SWEEP_SHARE + JUMP_SHARE:
            weights = [self._weights[service.name] for service in able]
            self._handle(self._choose.choices(able, weights)[0])
        elif able and chance < JUMP_SHARE:
            self._jump()
        elif able and chance < JUMP_SHARE + SWEEP_SHARE:
            self._guarded(self._pick([s for s in self.services.values() if s.is_up]), Service.sweep)
        else:
            telling = [service for service in self.services.values() if service.has_ends]
            if not telling and not able and not self._pass_to_the_next():
                return False
            if able:
                telling = self._choose.sample(telling, self._choose.randint(0, len(telling)))
            for service in telling:
                service.tell()
        self.clock.now_us += int(STEP_US * self._choose.random()) + 1
        return True

    def _build(self) -> dict[str, Service]:
        scenario = self._scenario
        skews = {fault.service: fault.by_ms * 1000 for fault in scenario.faults if isinstance(fault, Skew)}
        failures: dict[str, dict[int, tuple[int, int]]] = {}
        for fault in scenario.faults:
            if isinstance(fault, Unreachable):
                failures.setdefault(fault.service, {})[fault.nth] = (fault.taken, fault.acknowledged)
        made = participants(scenario.mode, tuple(scenario.stock.items()), scenario.deadline_s)
        listeners = {"order": self._note_orders, "status": self._show}
        return {
            each.name: Service(
                each,
                self.broker,
                self.clock,
                failures.get(each.name, {}),
                skews.get(each.name, 0),
                listeners.get(each.name, lambda _: None),
            )
            for each in made
        }

    def _plan(self) -> None:
        """Everything that the scenario says, at its time."""
        scenario = self._scenario
        for number, order in enumerate(scenario.orders):
            self._at_ms(order.at_ms, partial(self._place, scenario.order_id(number), order))
        for number, restock in enumerate(scenario.restocks):
            self._at_ms(restock.at_ms, partial(self._restock, number, restock))
        for number, deposit in enumerate(scenario.deposits):
            self._at_ms(deposit.at_ms, partial(self._deposit, number, deposit))
        for fault in scenario.faults:
            self._plan_fault(fault)

    def _plan_fault(self, fault: Fault) -> None:
        match fault:
            case Unreachable() | Skew():
                if isinstance(fault, Skew) and fault.service in self.services:
                    self.faults.append(FaultSpan("skew", fault.service, START_US, START_US))
            case Poison():
                self._at_ms(fault.at_ms, partial(self._poison, fault))
            case _ if fault.service not in self.services:
                pass  # of the other mode
            case KillAt():
                armed = engine_faults.Fault(fault.point, "kill", fault.type, fault.nth)
                self.services[fault.service].faults.arm(armed)
            case Kill():
                self._at_ms(fault.at_ms, partial(self.kill, self.services[fault.service]))
            case Stop():
                self._at_ms(fault.at_ms, partial(self._stop, self.services[fault.service], fault.for_ms * 1000))
            case Redeliver():
                self._at_ms(fault.at_ms, partial(self._redeliver, fault))

    # What comes at its time

    def _at_ms(self, at_ms: int, do: Callable[[], None]) -> None:
        self.at_us(START_US + at_ms * 1000, do)

    def at_us(self, at_us: int, do: Callable[[], None]) -> None:
        heapq.heappush(self._coming, (at_us, next(self._numbers), do))

    def _in_us(self, between_us: tuple[int, int], do: Callable[[], None]) -> None:
        self.at_us(self.clock.now_us + self._choose.randint(*between_us), do)

    def _do_what_has_come(self) -> None:
        while self._coming and self._coming[0][0] <= self.clock.now_us:
            heapq.heappop(self._coming)[2]()

    def _next_us(self) -> int | None:
        due_us = [service.due_us for service in self.services.values() if service.due_us is not None]
        if self._coming:
            due_us.append(self._coming[0][0])
        return min((each for each in due_us if each > self.clock.now_us), default=None)

    def _pass_to_the_next(self) -> bool:
        next_us = self._next_us()
        if next_us is not None:
            self.clock.now_us = next_us
        return next_us is not None

    def _jump(self) -> None:
        """To what comes next, although there is work; but every open order must still be able to end in time."""
        next_us = self._next_us()
        if next_us is not None and next_us <= min(self._must_end_us.values(), default=next_us):
            self.clock.now_us = next_us

    # Services

    def _pick(self, services: list[Service]) -> Service:
        return services[self._choose.randrange(len(services))]

    def _handle(self, service: Service) -> None:
        self._guarded(service, lambda service: service.handle(service.group.take(self._choose, BATCH_MAX)))

    def start(self, service: Service) -> None:
        self._guarded(service, Service.start)
        if service.is_up and service.name == "status":
            for order_id in self.customers.watching:
                self.look_again(order_id)

    def _guarded(self, service: Service, do: Callable[[Service], None]) -> None:
        try:
            do(service)
        except Killed:
            self._fall(service, "kill", self._choose.randint(*DOWN_US))

    def _fall(self, service: Service, kind: str, for_us: int) -> None:
        """The service is down, and comes back."""
        self.go_down(service)
        up_us = self.clock.now_us + for_us
        self.faults.append(FaultSpan(kind, service.name, self.clock.now_us, up_us))
        self.at_us(up_us, partial(self.start, service))

    def go_down(self, service: Service) -> None:
        """Who waits for its answer asks again."""
        service.die()
        for request in self._asking.pop(service.name, []):
            self._ask_again(request)

    def kill(self, service: Service) -> None:
        if service.is_up:
            self._fall(service, "kill", self._choose.randint(*DOWN_US))

    def _stop(self, service: Service, for_us: int) -> None:
        if service.is_up:
            service.tell()
            self._fall(service, "stop", for_us)

    def _redeliver(self, fault: Redeliver) -> None:
        self.services[fault.service].group.go_back(fault.back)
        self.faults.append(FaultSpan("redeliver", fault.service, self.clock.now_us, self.clock.now_us))

    def _poison(self, fault: Poison) -> None:
        order_id = self._scenario.order_id(fault.order)
        record = poison(self.broker, fault, order_id, self.clock.now_us)
        buried_by = services_that_bury(fault, record.topic, self.services)
        self.poisoned.append(Poisoned(record.topic, record.partition, record.offset, buried_by))

    # Customers

    def _place(self, order_id: str, order: Order) -> None:
        def accepted() -> None:
            self.look_again(order_id)
            if order.cancel_after_ms is not None:
                cancel = self.customers.cancel(order_id)
                self.at_us(self.clock.now_us + order.cancel_after_ms * 1000, partial(self.ask, cancel))

        self.ask(self.customers.place(order_id, order, accepted))

    def _restock(self, number: int, restock: Restock) -> None:
        self.ask(self.customers.restock(f"restock-{number}", restock))

    def _deposit(self, number: int, deposit: Deposit) -> None:
        self.ask(self.customers.deposit(f"deposit-{number}", deposit))

    def ask(self, request: Request) -> None:
        service = self.services[request.service]
        if not service.is_up:
            self._ask_again(request)
            return
        waiting = self._asking.setdefault(request.service, [])
        waiting.append(request)

        def answered() -> bool:
            """Whether the answer reaches who has asked."""
            waiting.remove(request)
            if self._choose.random() < LOST_SHARE:
                self._ask_again(request)
                return False
            return True

        service.mailbox.append(request.message(self.clock.now_us, answered))

    def _ask_again(self, request: Request) -> None:
        self._in_us(ASK_AGAIN_US, partial(self.ask, request))

    # What is seen of the services' states

    def _note_orders(self, states: Mapping[str, State]) -> None:
        for entity, state in states.items():
            if isinstance(state, OrderState):
                if state.outcome.ended:
                    self._must_end_us.pop(entity, None)
                else:
                    deadline_us = round(self._scenario.deadline_s * 1_000_000)
                    late_us = LATE_US if self._scenario.slow else -LATE_US
                    self._must_end_us[entity] = state.accepted_us + deadline_us + late_us

    def _show(self, states: Mapping[str, State]) -> None:
        for entity, state in states.items():
            if isinstance(state, StatusState):
                self.customers.see(entity.partition("/")[2], state)

    def look_again(self, order_id: str) -> None:
        """What a watch is shown when it begins, or begins anew."""
        self.customers.look(order_id, self.services["status"].store)
