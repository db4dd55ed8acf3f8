"""Wiring: the one place that reads the environment and puts a service's parts together."""

import asyncio
import gc
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from shop.admin.v1 import service_pb2 as admin_pb2
from shop.admin.v1.service_pb2_grpc import add_AdminServiceServicer_to_server

from services.engine import http, logs, metrics, settings
from services.engine.admin import Admin
from services.engine.database import DatabaseError, open_store
from services.engine.database_url import sqlite_path
from services.engine.faults import Faults
from services.engine.health import CHECK_WITHIN_S, Health, keep_checking
from services.engine.kafka import KafkaIntake, KafkaPublisher
from services.engine.kafka_access import AccessRefused
from services.engine.loop import Engine
from services.engine.mailbox import Mailbox
from services.engine.observed import Observed
from services.engine.observer import KafkaObserver
from services.engine.participant import Participant, State
from services.engine.rebuild_read_model import ReadModelRebuild, is_read_model
from services.engine.retry import Retry
from services.engine.rpc import Commands, Validation
from services.engine.runner import Runner
from services.engine.scrape import AtScrape, StateGauge
from services.engine.settings import EngineSettings
from services.engine.store import Store
from services.engine.telemetry import OnEvents, Telemetry
from services.engine.topic_reader import TopicReader

if TYPE_CHECKING:
    from services.engine.tracing import Spans

STOP_WITHIN_S = 9.0
RPC_GRACE_S = 1.0
DATABASE_AGAIN_S = 0.5
CONNECTION_AGE_GRACE_S = 30
"""How long a call may go on over a connection that has reached its age: the watch stream begins anew after it."""

_SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),  # a port that is taken is an error
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),  # clients keep idle streams alive
]

log = logging.getLogger(__name__)
E_ = TypeVar("E_", bound=EngineSettings)


class Service(NamedTuple):
    """What a service adds to the engine.

    participant: its tables
    register:    adds its gRPC service to a server
    grpc_service: full name of that service, for reflection
    on_change:   told of entities that changed, after each commit, on the loop's thread
    on_events:   told of events that were stored, and of entities that changed, after each commit, on the loop's thread
    on_change_elsewhere: told of entities that other replicas have changed, or with None of any, on a thread of its own
    gauges:      what else is measured when Prometheus scrapes
    """

    participant: Participant
    register: Callable[[grpc.aio.Server, Commands], None]
    grpc_service: str
    on_change: Callable[[Mapping[str, State]], None] = lambda _: None
    on_events: OnEvents = lambda _events, _states: None
    gauges: Sequence[StateGauge] = ()
    on_change_elsewhere: Callable[[Collection[str] | None], None] | None = None


def main(cls: type[E_], build: Callable[[E_], Service]) -> None:
    """Runs a service until SIGTERM or SIGINT: settings of type `cls` from the environment, parts from `build`."""
    given = settings.read(cls)
    service = build(given)
    logs.set_up(service.participant.name, given.instance, given.log_level)
    problem = uvloop.run(_serve(given, service))
    if problem:
        log.critical(problem)
        sys.exit(f"{service.participant.name}: {problem}")


async def _serve(given: EngineSettings, service: Service) -> str:
    """Returns why it could not go on; '' after a signal."""
    stop = asyncio.Event()
    problems: list[str] = []
    loop = asyncio.get_running_loop()

    def end(problem: str = "") -> None:
        problems.append(problem)
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)

    try:
        await asyncio.to_thread(given.check_access)
        store = await _store(given, stop)
    except (AccessRefused, DatabaseError) as error:
        return problems[0] if problems else str(error)
    parts = _Parts(given, service, store, end)
    health_servicer = _health_servicer()
    try:
        http.serve(given.host, given.http_port, parts.health)
        servers = [
            await _listen(f"{given.host}:{given.grpc_port}", service, parts, health_servicer),
            await _listen_admin(f"{given.admin_host}:{given.admin_port}", parts),
        ]
    except (OSError, RuntimeError) as error:
        ports = f"{given.grpc_port}, {given.admin_port} or {given.http_port}"
        return f"cannot listen: {error}: is another process on port {ports}?"
    checks: dict[str, Callable[[], None]] = {
        "the database": parts.store.ping,
        "the broker": lambda: parts.observer.ping(CHECK_WITHIN_S / 2),  # its own words come before ours
        "the consumer group": parts.intake.check_joined,
        "the loop": parts.health.check_loop,
    }
    checking = asyncio.create_task(keep_checking(parts.health, health_servicer, checks))
    parts.start()
    _calm_the_collector()
    log.info("started", extra={"port": given.grpc_port})
    await stop.wait()
    checking.cancel()
    await health_servicer.enter_graceful_shutdown()
    await asyncio.to_thread(parts.stop)
    await asyncio.gather(*(server.stop(RPC_GRACE_S) for server in servers))
    log.info("stopped")
    return problems[0]


async def _store(given: EngineSettings, stop: asyncio.Event) -> Store:
    """Waits until the database is there and migrated, as long as settings say. Raises DatabaseError."""
    give_up_at_s = time.monotonic() + given.database_wait_s
    waiting = False
    while True:
        try:
            return await asyncio.to_thread(open_store, given.database_url)
        except DatabaseError as error:
            if stop.is_set() or time.monotonic() >= give_up_at_s:
                raise
            if not waiting:
                log.warning("waiting for the database", extra={"cause": str(error)})
            waiting = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), DATABASE_AGAIN_S)


def _calm_the_collector() -> None:
    """A batch makes thousands of objects and next to no cycles: a tenth of all time went into looking for them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _health_servicer() -> Any:
    untyped: Any = health
    return untyped.aio.HealthServicer()


class _Parts:
    """The engine's parts of one process, started and stopped in order."""

    def __init__(self, given: EngineSettings, service: Service, store: Store, end: Callable[[str], None]) -> None:
        participant = service.participant
        self.given = given
        self.participant = participant
        self.stopping = threading.Event()
        self.health = Health()
        self.mailbox = Mailbox()
        self.faults = Faults()
        self.store = store
        if service.on_change_elsewhere is not None:
            self.store.listen(service.on_change_elsewhere)
        self.commands = Commands(self.mailbox, self.store)
        self.publisher = KafkaPublisher(given.kafka, participant.name, self.health.beat)
        self.observer = KafkaObserver(given.kafka, participant.consumer_group, participant.topics)
        self.spans = _spans(given, participant)
        retry = Retry(self.stopping, self._note_retry)
        engine = Engine(
            participant,
            self.store,
            self.publisher,
            self.faults,
            retry,
            on_change=service.on_change,
            telemetry=Telemetry(participant, self.spans, service.on_events),
        )
        metrics.tell_build(participant.name, given.saga_mode)
        AtScrape(participant.consumer_group, self.observer, self.store, self.mailbox, service.gauges)
        self.intake = KafkaIntake(
            given.kafka,
            participant.consumer_group,
            given.instance,
            participant.topics,
            self.mailbox,
            on_assign=lambda: self.runner.sweep_soon(),  # noqa: PLW0108 the runner is made after
            on_fatal=end,
            patience_s=participant.patience_s,
            urgent=participant.urgent_headers,
        )
        self.runner = Runner(
            engine, self.mailbox, self.intake, self.store, self.health, given.inbox_keep_s, self.stopping, end
        )

    def read_model_rebuild(self) -> ReadModelRebuild | None:
        if not is_read_model(self.participant):
            return None
        return ReadModelRebuild(
            self.participant,
            self.store,
            self.mailbox,
            self.runner.settle,
            self.observer.positions,
            lambda: TopicReader(self.given.kafka, f"{self.participant.name}-rebuild"),
            _beside(self.given),
            self.stopping,
        )

    def start(self) -> None:
        self.runner.start()

    def stop(self) -> None:
        """Takes no more work, finishes the batch at hand, commits, leaves."""
        deadline = time.monotonic() + STOP_WITHIN_S
        self.intake.stop()
        self.stopping.set()
        if not self.runner.join(STOP_WITHIN_S / 2):
            log.warning("the batch at hand did not end in time: it comes again after the start")
        self.intake.close(max(0.1, deadline - time.monotonic()))
        self.publisher.close()
        self.store.close()
        if self.spans is not None:
            self.spans.close()

    def _note_retry(self, error: BaseException) -> None:
        self.health.retrying(str(error))
        metrics.RETRIES.inc()
        log.warning("trying again", extra={"cause": str(error)})


def _spans(given: EngineSettings, participant: Participant) -> "Spans | None":
    if given.traces is None:
        return None
    from services.engine import tracing  # noqa: PLC0415 0.2 s and 4 MB, for those who have switched it on

    return tracing.start(participant, given.instance, given.traces, given.otel_bsp_max_queue_size)


def _beside(given: EngineSettings) -> Path:
    """Where a second store may be for a while: beside the database's file, or else where temporary files are."""
    path = sqlite_path(given.database_url)
    return Path(f"{path}.rebuild") if path else Path(tempfile.gettempdir()) / f"{given.instance}-{os.getpid()}.rebuild"


async def _listen(address: str, service: Service, parts: _Parts, health_servicer: Any) -> grpc.aio.Server:
    options = [*_SERVER_OPTIONS, *_connection_age(parts.given.grpc_connection_age_s)]
    server = grpc.aio.server(interceptors=[Observed(parts.spans), Validation()], options=options)
    service.register(server, parts.commands)
    untyped: Any = health_pb2_grpc
    untyped.add_HealthServicer_to_server(health_servicer, server)
    await _start(server, address, [service.grpc_service, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name])
    return server


def _connection_age(age_s: float | None) -> list[tuple[str, int]]:
    if age_s is None:
        return []
    grace_ms = CONNECTION_AGE_GRACE_S * 1000
    return [("grpc.max_connection_age_ms", round(age_s * 1000)), ("grpc.max_connection_age_grace_ms", grace_ms)]


async def _listen_admin(address: str, parts: _Parts) -> grpc.aio.Server:
    server = grpc.aio.server(interceptors=[Observed(), Validation()], options=_SERVER_OPTIONS)
    admin = Admin(
        parts.given,
        parts.participant,
        parts.store,
        parts.mailbox,
        parts.observer,
        parts.health,
        parts.faults,
        parts.read_model_rebuild(),
        time.time_ns() // 1000,
    )
    add_AdminServiceServicer_to_server(admin, server)
    await _start(server, address, [admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name])
    return server


async def _start(server: grpc.aio.Server, address: str, names: Sequence[str]) -> None:
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    server.add_insecure_port(address)
    await server.start()
