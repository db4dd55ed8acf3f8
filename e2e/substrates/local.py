"""Processes on this machine, as `sagaproof run` starts them: real Kafka, and SQLite or PostgreSQL with replicas."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import psutil

from e2e.shop import Shop, Variant
from e2e.substrates.substrate import CAPABILITIES, Capability
from e2e.waiting import eventually
from sagaproof import runstate
from sagaproof.settings import ADMIN_OFFSET, REPLICA_OFFSET
from services.saga import Mode

GONE_WITHIN_S = 12.0
"""A process that is stopped in order; its supervisor would kill it after 8 s."""
BORN_WITHIN_S = 15.0
"""The supervisor waits up to 10 s before it starts a process again that ends again and again."""
LOOK_EVERY_S = 0.005
OF_POSTGRES: frozenset[Capability] = frozenset({"database", "replicas"})


def can(variant: Variant) -> frozenset[Capability]:
    """What a shop of this variant can do."""
    return frozenset(CAPABILITIES) - (frozenset() if variant.postgres else OF_POSTGRES)


class Local:
    """`Site` of a `Shop`."""

    name: str = "local"

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.home = shop.home
        self.mode: Mode = shop.mode
        self.can = can(shop.variant)
        self.url = shop.url
        self.kafka = shop.kafka()

    @property
    def services(self) -> Sequence[str]:
        return self._shop.services

    def replicas(self, service: str) -> Sequence[str]:
        return [service, *(f"{service}-{n}" for n in range(1, self._shop.variant.replicas))]

    def public(self, process: str) -> str:
        return self._address(process, 0)

    def admin(self, process: str) -> str:
        return self._address(process, ADMIN_OFFSET)

    def _address(self, process: str, offset: int) -> str:
        service, _, number = process.partition("-")
        return self._shop.address(service, offset + int(number or 0) * REPLICA_OFFSET)

    def is_up(self, process: str) -> bool:
        found = self._supervised(process)
        return found.ready and found.find() is not None

    def lives(self, process: str) -> int:
        return self._supervised(process).restarts + 1

    def kill(self, process: str) -> None:
        running = self._running(process)
        running.kill()
        running.wait(GONE_WITHIN_S)

    def restart(self, process: str) -> None:
        running = self._running(process)
        running.send_signal(signal.SIGINT if process == "postgres" else signal.SIGTERM)  # else it waits for its clients
        running.wait(GONE_WITHIN_S)

    def stop(self, process: str) -> None:
        """Its supervisor starts it again at once; that one is held before it has done anything, until `start`."""
        before = self._running(process)
        before.terminate()
        before.wait(GONE_WITHIN_S)
        born = eventually(
            f"the supervisor starts {process} again",
            lambda: self._other(process, before.pid),
            BORN_WITHIN_S,
            LOOK_EVERY_S,
        )
        born.suspend()

    def start(self, process: str) -> None:
        self._running(process).resume()

    def logs(self) -> str:
        return self._shop.logs()

    def _supervised(self, process: str) -> runstate.Supervised:
        state = runstate.read(self._shop.home)
        assert state is not None, "the shop does not run"
        return state.processes[process]

    def _running(self, process: str) -> psutil.Process:
        return eventually(f"{process} runs", lambda: self._supervised(process).find(), BORN_WITHIN_S)

    def _other(self, process: str, pid: int) -> psutil.Process | None:
        found = self._supervised(process).find()
        return found if found is not None and found.pid != pid else None
