"""Where the processes of a real shop are, and what can be done to them: all that a substrate of one needs to add.

A process is named as `sagaproof run` does: a service's replicas are `order`, `order-1`, ...; besides there are
`gateway`, `kafka` and, where it is the shop's own, `postgres`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from e2e.substrates.substrate import Capability
from services.saga import Mode


class Site(Protocol):
    """A real shop that runs: addresses, kill, stop and start, logs.

    url:   of the gateway
    kafka: the broker's bootstrap servers, as the harness reaches them
    """

    name: str
    mode: Mode
    can: frozenset[Capability]
    url: str
    kafka: str

    @property
    def services(self) -> Sequence[str]:
        """Those that run in its mode."""
        ...

    def replicas(self, service: str) -> Sequence[str]:
        """The names of the service's processes; the first one is the service's."""
        ...

    def public(self, process: str) -> str:
        """HOST:PORT of a service process's gRPC listener."""
        ...

    def admin(self, process: str) -> str:
        """HOST:PORT of its admin service."""
        ...

    def is_up(self, process: str) -> bool:
        """Whether it runs and is ready."""
        ...

    def lives(self, process: str) -> int:
        """How often it was started: one more after it was killed or stopped."""
        ...

    def kill(self, process: str) -> None:
        """SIGKILL; whoever keeps it running starts it again. Returns when it is gone."""
        ...

    def restart(self, process: str) -> None:
        """Ends it in order; whoever keeps it running starts it again. Returns when it is gone."""
        ...

    def stop(self, process: str) -> None:
        """Ends it in order, and it stays down. Returns when it is gone."""
        ...

    def start(self, process: str) -> None:
        """After `stop`. Need not wait until it is up."""
        ...

    def logs(self) -> str:
        """The end of what each process said."""
        ...
