"""The services of a simulated shop: the real participants on the real engine, which can die and be started again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import count

from e2e.simulated.broker import Broker, BrokerPublisher
from services.catalogue import Catalogue, Product
from services.engine.batch import Batch
from services.engine.faults import Faults
from services.engine.loop import Engine
from services.engine.memory import MemoryStore
from services.engine.messages import Message, Record
from services.engine.metrics import Phase
from services.engine.participant import Participant, State
from services.engine.retry import Retry
from services.engine.store import StoredEvent
from services.engine.telemetry import Telemetry
from services.inventory.decider import participant as inventory
from services.marketing.fold import participant as marketing
from services.notification.decider import participant as notification
from services.orchestrator.decider import participant as orchestrator
from services.order.decider import Policy as OrderPolicy
from services.order.decider import participant as order
from services.payment.decider import Opening
from services.payment.decider import participant as payment
from services.saga import Mode
from services.shipping.decider import Policy as ShippingPolicy
from services.shipping.decider import participant as shipping
from services.status.fold import participant as status

OPENING = Opening()
"""What every account opens with."""
BACKOFF_US = 50_000
"""How long a service waits before it asks the broker again."""
IDLE_S = 1e6

OnChange = Callable[[Mapping[str, State]], None]


class Killed(BaseException):
    """Ends a service where it stands: nothing that handles errors may hold it up."""


def _kill() -> None:
    raise Killed


class Clock:
    """Stands until it is moved."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us


class _Patience(threading.Event):
    """Is never set; waiting for it moves the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 the wait is ours to say
        self._clock.now_us += BACKOFF_US
        return False


class _Silent(Telemetry):
    """Nobody watches: what is measured would be of no real time, and of all shops of this process together."""

    def lap(self, phase: Phase) -> None:
        pass

    def taken(self) -> None:
        pass

    def handled(self, batch: Batch, messages: Sequence[Message]) -> None:
        pass

    def published(self, events: Sequence[StoredEvent], acknowledged: Sequence[int]) -> None:
        pass


class Service:
    """One service over all its lives: its store, its place in the topics and what is armed against it stay.

    mailbox:  commands that wait for the next batch
    skew_us:  by how much its clock is before the others'
    due_us:   when its next timer is due, by the world's clock; None if none is, or if it is down
    paused:   it takes no records and no timers
    """

    def __init__(
        self,
        participant: Participant,
        broker: Broker,
        clock: Clock,
        failures: dict[int, tuple[int, int]],
        skew_us: int,
        on_change: OnChange,
        store: MemoryStore | None = None,
    ) -> None:
        self.name = participant.name
        self.participant = participant
        self.store = store or MemoryStore()
        self.group = broker.group(participant.topics)
        self.faults = Faults(_kill)
        self.mailbox: list[Message] = []
        self.due_us: int | None = None
        self.paused = False
        self.skew_us = skew_us
        self._publisher = BrokerPublisher(broker, participant.name, failures)
        self._clock = clock
        self._on_change = on_change
        self._engine: Engine | None = None

    @property
    def is_up(self) -> bool:
        return self._engine is not None

    @property
    def has_work(self) -> bool:
        """Whether a batch would have anything in it."""
        if self._engine is None or self.paused:
            return self._engine is not None and bool(self.mailbox)
        return bool(self.mailbox or self.group.unread) or (
            self.due_us is not None and self.due_us <= self._clock.now_us
        )

    @property
    def has_ends(self) -> bool:
        """Whether something is done already that its store or the broker has not been told."""
        return self._engine is not None and (self._engine.unmarked or self.group.uncommitted)

    def pause(self, paused: bool) -> None:
        """As an operator does, or takes it back. Not kept over a restart."""
        self.paused = paused
        if self._engine is not None:
            self._engine.hold_timers = paused
            self._look_at_timers()

    def start(self) -> None:
        """A new life. Raises Killed if it ends at once."""
        self.paused = False
        self._engine = self._new_engine()
        self.group.rejoin()
        self._engine.start()
        self._look_at_timers()

    def resume(self) -> None:
        """The same life goes on, of a service that had told all that it has done."""
        self._engine = self._new_engine()
        self._engine.look_for_timers()
        self._look_at_timers()

    def _new_engine(self) -> Engine:
        retry = Retry(_Patience(self._clock), lambda _: None)
        return Engine(
            self.participant,
            self.store,
            self._publisher,
            self.faults,
            retry,
            lambda: self._clock.now_us + self.skew_us,
            self._on_change,
            _Silent(self.participant),
        )

    def handle(self, records: Sequence[Record]) -> None:
        """One batch. Raises Killed if the service dies in it."""
        commands, self.mailbox = self.mailbox, []
        self._running.cycle(records, commands)
        self.group.done(records)
        self._look_at_timers()

    def sweep(self) -> None:
        """What the loop does every few seconds. Raises Killed."""
        self._running.publish(None, frozenset())
        self._running.look_for_timers()
        self._look_at_timers()

    def tell(self) -> None:
        """Marks what was published, and commits the offsets of what was handled."""
        self._running.mark()
        self.group.commit()

    def die(self) -> None:
        """Nothing but what is stored and committed stays."""
        self._engine = None
        self.mailbox = []
        self.due_us = None

    @property
    def _running(self) -> Engine:
        assert self._engine is not None, f"{self.name} is down"
        return self._engine

    def _look_at_timers(self) -> None:
        idle_s = self._running.idle_s(IDLE_S)
        self.due_us = None if idle_s == IDLE_S else self._clock.now_us + round(idle_s * 1_000_000)


@lru_cache(maxsize=64)
def participants(mode: Mode, stock: tuple[tuple[str, int], ...], deadline_s: float) -> tuple[Participant, ...]:
    """All services of a shop; its products have prices by their place in the stock: 30.00, 60.00, ..."""
    catalogue = _catalogue(stock)
    made = (
        order(OrderPolicy(deadline_s), catalogue),
        inventory(catalogue, mode),
        payment(OPENING, mode),
        shipping(ShippingPolicy(), mode),
        notification(),
        status(),
        marketing(),
    )
    return (*made, orchestrator()) if mode == "orchestrated" else made


def _catalogue(stock: tuple[tuple[str, int], ...]) -> Catalogue:
    numbers = count(1)
    return {name: Product(name, name, next(numbers) * 3000, "USD", pieces) for name, pieces in stock}
