"""The processes of the shop on one machine: Kafka, one process per service, the gateway; their ports and environment.

Ports (contract): a service's gRPC port is 9051 to 9058, its admin port that + 100, its HTTP port that + 200; all listen
on loopback. Kafka takes 9092 or the next free port. Services are stopped after the gateway and before Kafka.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from sagaproof import kafka_admin, ports
from sagaproof.kafka_node import Broker
from sagaproof.passwords import password_of
from sagaproof.postgres_node import Server
from sagaproof.settings import ADMIN_OFFSET, HOST, HTTP_OFFSET, REPLICA_OFFSET, Settings
from sagaproof.supervisor import ProcessSpec
from services.topics import TOPICS

ROOT = Path(__file__).resolve().parent.parent
KAFKA_OFFSET = 42  # 9092 for the default base port
POSTGRES_OFFSET = 82  # 9132
READY_TIMEOUT_S = 2.0
TOPICS_TIMEOUT_S = 3.0
"""Short, since it is asked again, and since Ctrl-C waits for a question that is under way."""
# Whatever the user's shell exports: nothing here listens beyond this machine.
_LOCAL = {"HOST": HOST, "ADMIN_HOST": HOST, "PYTHONUNBUFFERED": "1"}
STAGES = {"kafka": 0, "postgres": 0, "service": 1, "gateway": 2}
# 15 s in all: what was asked to go is given this long, one stage after the other.
STOP_S = {"kafka": 3.0, "postgres": 3.0, "service": 8.5, "gateway": 3.0}


@dataclass(frozen=True)
class Part:
    """A process of the shop and where it listens; a port is 0 where it has none of the kind."""

    spec: ProcessSpec
    grpc: int = 0
    admin: int = 0
    http: int = 0
    others: Sequence[int] = ()

    @property
    def listens(self) -> list[int]:
        return [port for port in (self.grpc, self.admin, self.http, *self.others) if port]


@dataclass(frozen=True)
class Stack:
    """All processes, and the addresses that others need to know."""

    parts: Sequence[Part]
    gateway: str
    kafka: str


def the_shop(settings: Settings) -> Stack:
    """What `sagaproof run` runs."""
    parts, bootstrap_servers = list[Part](), settings.bootstrap_servers
    grpc_ports = settings.grpc_ports
    if bootstrap_servers is None:
        broker = _broker(settings, avoid={settings.port, *_all_ports(settings)})
        bootstrap_servers = broker.bootstrap_servers
        parts.append(kafka_part(settings, broker))
    taken = {settings.port, *_all_ports(settings), *(port for part in parts for port in part.listens)}
    server = _server(settings, avoid=taken) if settings.postgres else None
    if server is not None:
        parts.append(postgres_part(settings, server))
    urls = {name: _database_url(settings, server, name) for name in grpc_ports}
    parts.append(databases_part(settings, urls, server.url if server else settings.database_admin))
    after = [part.spec.name for part in parts]
    for n in range(settings.replicas):
        parts += [service_part(settings, name, n, bootstrap_servers, urls[name], after) for name in grpc_ports]
    parts.append(gateway_part(settings, grpc_ports, {part.spec.name: part.admin for part in parts if part.admin}))
    return Stack(parts, gateway=f"http://{HOST}:{settings.port}", kafka=bootstrap_servers)


def kafka_part(settings: Settings, broker: Broker) -> Part:
    """The broker; it is ready when it answers and has all topics."""

    def ready() -> bool:
        try:
            if not kafka_admin.answers(kafka_admin.admin(broker.bootstrap_servers), broker.cluster_id()):
                return False
            kafka_admin.create_topics(broker.bootstrap_servers, TOPICS, timeout_s=TOPICS_TIMEOUT_S)
        except kafka_admin.KafkaError:
            return False
        return True

    spec = ProcessSpec(
        name="kafka",
        command=broker.command(),
        env=settings.environ,
        cwd=broker.folder,
        log=settings.logs / "kafka.log",
        ready=ready,
        prepare=broker.prepare,
        stage=STAGES["kafka"],
        stop_s=STOP_S["kafka"],
    )
    return Part(spec, others=(broker.port, broker.controller_port))


def postgres_part(settings: Settings, server: Server) -> Part:
    """The PostgreSQL server; it is ready when it takes connections."""
    spec = ProcessSpec(
        name="postgres",
        command=server.command(),
        env=settings.environ,
        cwd=ROOT,
        log=settings.logs / "postgres.log",
        ready=server.answers,
        prepare=server.prepare,
        stage=STAGES["postgres"],
        stop_s=STOP_S["postgres"],
        stop_signal=signal.SIGINT,
    )
    return Part(spec, others=(server.port,))


def databases_part(settings: Settings, urls: Mapping[str, str], admin_url: str | None) -> Part:
    """The step that gives every service its database and its tables."""
    env = {**settings.environ, "DATABASE_URLS": json.dumps(dict(urls))}
    if admin_url:
        env["DATABASE_ADMIN_URL"] = admin_url
    spec = ProcessSpec(
        name="databases",
        command=[sys.executable, "-m", "sagaproof.databases"],
        env=env,
        cwd=ROOT,
        log=settings.logs / "databases.log",
        after=["postgres"] if settings.postgres else [],
        stage=STAGES["service"],
        stop_s=STOP_S["service"],
        once=True,
    )
    return Part(spec)


def service_part(
    settings: Settings, name: str, n: int, bootstrap_servers: str, database_url: str, after: Sequence[str]
) -> Part:
    """Replica `n` of a service, with an instance name of its own, which static membership in its group needs."""
    port = settings.grpc_ports[name] + n * REPLICA_OFFSET
    http_port, admin_port = port + HTTP_OFFSET, port + ADMIN_OFFSET
    process = f"{name}-{n}" if n else name
    env = {
        **settings.environ,
        **_LOCAL,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "DATABASE_URL": database_url,
        "GRPC_PORT": str(port),
        "ADMIN_PORT": str(admin_port),
        "HTTP_PORT": str(http_port),
        "INSTANCE": f"{name}-{n}",
        "SAGA_MODE": settings.mode,
        "FAULTS": settings.environ.get("FAULTS") or "1",
    }
    if catalogue := settings.environ.get("CATALOGUE"):
        env["CATALOGUE"] = str(Path(catalogue).absolute())  # the services run in another folder than the user
    spec = ProcessSpec(
        name=process,
        command=[sys.executable, "-m", f"services.{name}"],
        env=env,
        cwd=ROOT,
        log=settings.logs / f"{process}.log",
        ready=answers_ready(http_port),
        after=after,
        stage=STAGES["service"],
        stop_s=STOP_S["service"],
    )
    return Part(spec, grpc=port, admin=admin_port, http=http_port)


def gateway_part(settings: Settings, grpc_ports: dict[str, int], admin_ports: Mapping[str, int]) -> Part:
    """The gateway, told where the services and their processes' AdminServices are."""
    addresses = {f"{name.upper()}_ADDRESS": _target(settings, port) for name, port in grpc_ports.items()}
    console = {
        "CONSOLE_ADMIN": settings.environ.get("CONSOLE_ADMIN") or "1",
        "ADMIN_ADDRESSES": ",".join(f"{name}={HOST}:{port}" for name, port in admin_ports.items()),
    }
    spec = ProcessSpec(
        name="gateway",
        command=[sys.executable, "-m", "gateway"],
        env={**settings.environ, **_LOCAL, **addresses, **console, "PORT": str(settings.port)},
        cwd=ROOT,
        log=settings.logs / "gateway.log",
        ready=answers_ready(settings.port),
        stage=STAGES["gateway"],
        stop_s=STOP_S["gateway"],
    )
    return Part(spec, http=settings.port)


def answers_ready(port: int) -> Callable[[], bool]:
    """A question: does `GET /ready` there say 200?"""

    def ready() -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=READY_TIMEOUT_S)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready


def _broker(settings: Settings, avoid: set[int]) -> Broker:
    port = ports.next_free(settings.base_port + KAFKA_OFFSET, avoid=avoid)
    controller_port = ports.next_free(port + 1, avoid=avoid)
    return Broker(settings.data / "kafka", settings.home, port, controller_port)


def _server(settings: Settings, avoid: set[int]) -> Server:
    return Server(settings.data / "postgres", ports.next_free(settings.base_port + POSTGRES_OFFSET, avoid=avoid))


def _database_url(settings: Settings, server: Server | None, service: str) -> str:
    name = f"sagaproof_{service}"
    if server is not None:
        return server.database_url(name)
    if admin_url := settings.database_admin:
        admin = urlsplit(admin_url)
        _, _, host = admin.netloc.rpartition("@")
        password = password_of(settings.home / "passwords.json", f"{name}@{host}")
        return urlunsplit(admin._replace(netloc=f"{name}:{password}@{host}", path=f"/{name}"))
    return settings.database(service)


def _target(settings: Settings, port: int) -> str:
    """All replicas of a service as one gRPC target."""
    addresses = [f"{HOST}:{port + n * REPLICA_OFFSET}" for n in range(settings.replicas)]
    return addresses[0] if len(addresses) == 1 else f"ipv4:{','.join(addresses)}"


def _all_ports(settings: Settings) -> set[int]:
    replicas = range(0, settings.replicas * REPLICA_OFFSET, REPLICA_OFFSET)
    offsets = (0, ADMIN_OFFSET, HTTP_OFFSET)
    return {port + n + offset for port in settings.grpc_ports.values() for n in replicas for offset in offsets}
