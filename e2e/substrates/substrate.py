"""What a scenario can do to a shop and see of it, wherever that shop runs.

Whatever waits has a bound, and raises AssertionError when it is passed. A fault that is a block has cleared when the
block ends, and one that is a call when the call returns: what was broken is up again then, by itself or by us. Each is
noted in the history, from when to when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

from e2e.history import History
from e2e.substrates.poison import Kind
from services.engine.faults import Point
from services.saga import Mode

Capability = Literal["kill", "crash-points", "stop", "pause", "broker", "twice", "poison", "database", "replicas"]
CAPABILITIES: Mapping[Capability, str] = {
    "kill": "a service is killed at any time, and comes back by itself",
    "crash-points": "a service is killed at a named crash point",
    "stop": "a service is stopped in order, and stays down until it is started again",
    "pause": "a service takes no records and no timers, and answers its RPCs",
    "broker": "the broker is killed, and comes back by itself",
    "twice": "every event is on its topic twice",
    "poison": "a record is made that cannot be handled",
    "database": "the server of all databases is restarted, or killed and comes back",
    "replicas": "one of a service's replicas leaves, and joins again",
}
"""What a substrate may be able to do. A scenario that needs what its substrate cannot do is skipped, by this name."""


class CannotError(NotImplementedError):
    """This substrate cannot do what the scenario wants, and the scenario has not said that it needs it."""


class Order(NamedTuple):
    """What a customer wants. `items`: product -> quantity; user: a new one if ''; watched: by its customer."""

    items: Mapping[str, int]
    user: str = ""
    watched: bool = True


class Ending(NamedTuple):
    """In HTTP's words: COMPLETED, or CANCELLED and why."""

    status: str
    reason: str = ""


class Load(Protocol):
    """Customers who order again and again."""

    def wait_for(self, count: int) -> None:
        """Until so many more of their orders were accepted."""
        ...


class Substrate(Protocol):
    """A running shop.

    can:        what it can do of `CAPABILITIES`
    services:   those that run in its mode
    processes:  what can be killed but for the broker and the database: each replica of a service, and the gateway
    recovers_within_s: every order ends so soon, time under faults not counted; None where time is not real
    far_behind: so many records are a lot here
    """

    name: str
    mode: Mode
    can: frozenset[Capability]
    recovers_within_s: float | None
    far_behind: int

    @property
    def services(self) -> Sequence[str]: ...

    @property
    def processes(self) -> Sequence[str]: ...

    def replicas(self, service: str) -> Sequence[str]:
        """The service's processes."""
        ...

    # Customers and operators. Each asks until it is answered, under one id.

    def place(self, order: Order) -> str:
        """The id of the order, which is accepted."""
        ...

    def cancel(self, order_id: str) -> None:
        """Asks for it; that is a race with shipping, unless something is paused."""
        ...

    def restock(self, product: str, pieces: int) -> None: ...

    def deposit(self, user: str, amount_minor: int) -> None: ...

    def load(self, draw: Callable[[], Order], *, hurried: bool = False) -> AbstractContextManager[Load]:
        """Customers order what is drawn, inside the block; those who are hurried, without a pause."""
        ...

    # What is seen

    def reaches(self, order_id: str, status: str) -> None:
        """Waits until the order has the status, of those in HTTP's words."""
        ...

    def ending(self, order_id: str) -> Ending:
        """Waits for it."""
        ...

    def lag(self, service: str) -> int:
        """How many records it has not handled yet."""
        ...

    def passes(self, seconds: float) -> None:
        """Lets so much of the shop's time pass: how long a fault is to last."""
        ...

    def history(self) -> History:
        """All that ever happened to this shop, once it is at rest."""
        ...

    # Faults

    def kill(self, *processes: str) -> None:
        """Kills them at once, without a chance to tidy up. Returns when all are back."""
        ...

    def killed_at(self, service: str, point: Point, message_type: str) -> AbstractContextManager[None]:
        """The service dies when a batch with a message of the type (its full name) is at the crash point.

        The block must lead there; at its end that is waited for, and that the service is back.
        """
        ...

    def stopped(self, service: str) -> AbstractContextManager[None]:
        """The service is down inside the block."""
        ...

    def paused(self, service: str) -> AbstractContextManager[None]:
        """No replica of the service takes a record or a timer inside the block."""
        ...

    def kill_broker(self) -> None:
        """Returns when it is back."""
        ...

    def restart_database(self, *, killed: bool) -> None:
        """Kills it, or ends it in order. Returns when it is back."""
        ...

    def without_replica(self, service: str) -> AbstractContextManager[None]:
        """One of the service's replicas has left inside the block, and another has its partitions; then it joins."""
        ...

    def every_event_twice(self) -> AbstractContextManager[None]:
        """Whatever is published inside the block is soon on its topic once more."""
        ...

    def poison(self, kind: Kind, message_type: str, order_id: str) -> None:
        """Puts a record that cannot be handled where an event of this type (its full name) of the order would stand."""
        ...

    # Afterwards

    def tidy(self) -> None:
        """Takes back what a scenario may have left: nothing is armed, paused, down, or an open dead letter."""
        ...

    def logs(self) -> str:
        """What the shop's processes said last, for a failure's message."""
        ...
