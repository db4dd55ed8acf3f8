"""Live and ready. Live: the loop moved lately, or waits within a bound. Ready: database and broker answer.

Live does not depend on Kafka or the database: restarting a service would not bring those back.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from grpc_health.v1 import health_pb2

from services.engine import metrics
from services.engine.retry import TransientError

CHECK_EVERY_S = 1.0
STARTING_EVERY_S = 0.1
CHECK_WITHIN_S = 3.0
LIVE_WITHIN_S = 30.0
"""Longer than any single wait of the loop: a database lock, a delivery, a backoff."""


@dataclass
class Health:
    """What is known of this process. `beat` is called by the loop wherever it moves."""

    not_ready_because: str = "starting"
    _retrying_because: str = ""
    _moved_at_s: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        self._moved_at_s = time.monotonic()

    def retrying(self, because: str) -> None:
        """The loop is in a retry: it lives, and is not ready before it has come out of it."""
        self.beat()
        self._retrying_because = because

    def recovered(self) -> None:
        self.beat()
        self._retrying_because = ""

    def check_loop(self) -> None:
        """Raises TransientError while the loop is in a retry."""
        if self._retrying_because:
            raise TransientError(self._retrying_because)

    @property
    def live(self) -> bool:
        return time.monotonic() - self._moved_at_s < LIVE_WITHIN_S

    @property
    def ready(self) -> bool:
        return self.live and not self.not_ready_because


class HealthServicer(Protocol):
    """The part of grpc_health's asyncio servicer, which has no types, that is used here."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None: ...


async def keep_checking(health: Health, servicer: HealthServicer, checks: Mapping[str, Callable[[], None]]) -> None:
    """Runs the checks every second, off the event loop, and tells `grpc.health.v1`. Ends when cancelled.

    checks: what is asked, for example "the broker" -> raises TransientError where it does not answer
    """
    while True:
        health.not_ready_because = await _first_failure(checks)
        metrics.READY.set(health.ready)
        await _tell(servicer, "liveness", health.live)
        for name in ("readiness", ""):
            await _tell(servicer, name, health.ready)
        await asyncio.sleep(CHECK_EVERY_S if health.ready else STARTING_EVERY_S)


async def _first_failure(checks: Mapping[str, Callable[[], None]]) -> str:
    for name, check in checks.items():
        try:
            await asyncio.wait_for(asyncio.to_thread(check), CHECK_WITHIN_S)
        except TransientError as error:
            return str(error)
        except TimeoutError:
            return f"{name} does not answer within {CHECK_WITHIN_S} s"
    return ""


async def _tell(servicer: HealthServicer, name: str, serving: bool) -> None:
    status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
    await servicer.set(name, status)
