"""How every process of the shop is, asked all at once: what `sagaproof health` shows."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sagaproof import rpc
from sagaproof.client import Gateway
from sagaproof.errors import CommandError, Unreachable
from sagaproof.running import Places


@dataclass(frozen=True)
class Health:
    """One process. What is not known of it is None; `note` says why it is not ready."""

    service: str
    ready: bool
    live: bool
    pid: int | None = None
    restarts: int | None = None
    lag: int | None = None
    up_s: int | None = None
    version: str | None = None
    paused: bool = False
    note: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def check(places: Places) -> list[Health]:
    """The gateway, Kafka where it is ours, and all services. Raises Unreachable if none of them answers."""
    checks: list[Callable[[], Health]] = [lambda: _gateway(places)]
    if places.state:
        checks.append(lambda: _kafka(places))
    checks += [lambda service=service: _service(places, service) for service in places.services]
    with ThreadPoolExecutor(len(checks)) as pool:
        rows = [future.result() for future in [pool.submit(each) for each in checks]]
    if not any(row.live for row in rows):
        raise Unreachable(f"nothing runs here (nothing answers at {places.url}): start it with `make run`")
    return rows


def _service(places: Places, service: str) -> Health:
    public, admin = places.listeners(service)
    ready = live = False
    try:
        ready, live = (rpc.health(service, public, aspect) for aspect in ("readiness", "liveness"))
        with rpc.Admin(service, admin) as asked:
            info = asked.info()
    except CommandError as error:
        where = f"its AdminService at {admin}" if live else public
        note = f"no answer from {where}" if isinstance(error, Unreachable) else error.line
        return Health(service, ready, live, restarts=_restarts(places, service), note=note)
    up = datetime.now(UTC) - info.started_at.ToDatetime(UTC)
    return Health(
        service,
        ready,
        live,
        pid=info.pid,
        restarts=_restarts(places, service),
        lag=info.lag if info.positions else None,
        up_s=round(up.total_seconds()),
        version=info.version,
        paused=info.paused,
        note=info.not_ready_because,
    )


def _gateway(places: Places) -> Health:
    pid, restarts = _pid(places, "gateway"), _restarts(places, "gateway")
    try:
        with Gateway(places.url) as gateway:
            gateway.ready()
    except Unreachable as error:
        return Health("gateway", ready=False, live=False, pid=pid, restarts=restarts, note=error.line)
    except CommandError as error:
        return Health("gateway", ready=False, live=True, pid=pid, restarts=restarts, note=error.line)
    return Health("gateway", ready=True, live=True, pid=pid, restarts=restarts)


def _kafka(places: Places) -> Health:
    servers = places.state.kafka if places.state else ""
    host, _, port = servers.split(",")[0].rpartition(":")
    pid, restarts = _pid(places, "kafka"), _restarts(places, "kafka")
    try:
        socket.create_connection((host, int(port)), timeout=rpc.HEALTH_S).close()
    except OSError as error:
        note = f"nothing answers at {servers}: {error.strerror or error}"
        return Health("kafka", ready=False, live=False, pid=pid, restarts=restarts, note=note)
    return Health("kafka", ready=True, live=True, pid=pid, restarts=restarts)


def _pid(places: Places, name: str) -> int | None:
    process = places.state.processes.get(name) if places.state else None
    return process.pid if process and process.find() else None


def _restarts(places: Places, name: str) -> int | None:
    process = places.state.processes.get(name) if places.state else None
    return process.restarts if process else None
