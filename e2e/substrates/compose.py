"""The containers of compose.yaml: a shop of its own beside any other, with names, ports and volumes of its own.

Docker starts a container again that ends by itself, and not one that was killed or stopped from outside, so what is
killed here is started here. Each service is one container.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

from testcontainers.compose import DockerCompose

from e2e.substrates.substrate import CAPABILITIES, Capability
from e2e.waiting import eventually
from sagaproof import kafka_admin
from sagaproof.ports import free_ports, is_free
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS, HOST, HTTP_OFFSET
from sagaproof.stack import answers_ready
from services.saga import Mode

ROOT = Path(__file__).resolve().parents[2]
UP_WITHIN_S = 180.0
DOCKER_WITHIN_S = 60.0
STOP_WITHIN_S = 15
LOG_LINES = 30
KAFKA_PORT, POSTGRES_PORT, GATEWAY_PORT = 9092, 9132, 8080
PREFIXES = (1, 2)
"""A second shop's ports are those of the first with one of these digits before; higher ones are for outgoing calls."""


class Compose:
    """`Site` of a Compose project."""

    name = "compose"
    can: frozenset[Capability] = frozenset(CAPABILITIES) - {"replicas"}

    def __init__(self, mode: Mode, project: str, prefix: int, port: int) -> None:
        self.mode: Mode = mode
        self.url = f"http://{HOST}:{port}"
        self.kafka = f"{HOST}:{_port(prefix, KAFKA_PORT)}"
        self._project = project
        self._prefix = prefix
        self._ready = {name: answers_ready(self._at(name, HTTP_OFFSET)) for name in self.services}
        self._ready["gateway"] = answers_ready(port)

    @property
    def services(self) -> Sequence[str]:
        return [name for name in GRPC_PORTS if name != "orchestrator" or self.mode == "orchestrated"]

    def replicas(self, service: str) -> Sequence[str]:
        return [service]

    def public(self, process: str) -> str:
        return f"{HOST}:{self._at(process, 0)}"

    def admin(self, process: str) -> str:
        return f"{HOST}:{self._at(process, ADMIN_OFFSET)}"

    def is_up(self, process: str) -> bool:
        """Asked of itself where it answers, as Docker asks only from time to time."""
        if process in self._ready:
            return self._ready[process]()
        if process == "kafka":
            return kafka_admin.answers(kafka_admin.admin(self.kafka))
        return self._state(process, "{{.State.Health.Status}}") == "healthy"

    def lives(self, process: str) -> int:
        """The moment of its last start, in microseconds: higher with each life. Docker counts its own restarts only."""
        started = datetime.fromisoformat(self._state(process, "{{.State.StartedAt}}"))
        return int(started.timestamp() * 1_000_000)

    def kill(self, process: str) -> None:
        self._docker("kill", self._container(process))
        self._docker("start", self._container(process))

    def restart(self, process: str) -> None:
        self._docker("restart", "--time", str(STOP_WITHIN_S), self._container(process))

    def stop(self, process: str) -> None:
        self._docker("stop", "--time", str(STOP_WITHIN_S), self._container(process))

    def start(self, process: str) -> None:
        self._docker("start", self._container(process))

    def logs(self) -> str:
        names = [*self.services, "gateway", "kafka", "postgres"]
        lines = ("logs", "--tail", str(LOG_LINES))
        return "\n".join(f"--- {name}\n{self._docker(*lines, self._container(name))}" for name in names)

    def _at(self, service: str, offset: int) -> int:
        return _port(self._prefix, GRPC_PORTS[service] + offset)

    def _container(self, process: str) -> str:
        return f"{self._project}-{process}-1"

    def _state(self, process: str, template: str) -> str:
        return self._docker("inspect", "--format", template, self._container(process)).strip()

    def _docker(self, *arguments: str) -> str:
        """What it says; AssertionError if it fails."""
        done = subprocess.run(
            ["docker", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=DOCKER_WITHIN_S,
        )
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}"
        return done.stdout


@contextmanager
def running(mode: Mode, home: Path) -> Generator[Compose]:
    """A shop that is ready; it is forgotten at the end of the block.

    Its images are built of this checkout, unless SERVICES_IMAGE says that there are some.
    """
    prefix = _free_prefix()
    [port] = free_ports(1)
    project = f"sagaproof-{home.name}".lower()
    given = {
        "COMPOSE_PROJECT_NAME": project,
        "SAGAPROOF_PORTS": str(prefix),
        "PORT": str(port),
        "SAGA_MODE": mode,
        "FAULTS": "1",
        "DELIVERY_STEP_S": "0.3",
    }
    # Compose reads it from its environment, whatever else is said there.
    with (
        patch.dict(os.environ, given),
        DockerCompose(ROOT, build="SERVICES_IMAGE" not in os.environ, wait=False),
    ):
        site = Compose(mode, project, prefix, port)
        try:
            for process in [*site.services, "gateway"]:
                eventually(f"{process} is up", lambda p=process: site.is_up(p), UP_WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{site.logs()}") from error
        yield site


def _port(prefix: int, port: int) -> int:
    return int(f"{prefix}{port}")


def _free_prefix() -> int:
    wanted = [p + offset for p in GRPC_PORTS.values() for offset in (0, ADMIN_OFFSET, HTTP_OFFSET)]
    for prefix in PREFIXES:
        if all(is_free(_port(prefix, port)) for port in (*wanted, KAFKA_PORT, POSTGRES_PORT)):
            return prefix
    raise AssertionError(f"no free ports for a shop: {_port(PREFIXES[0], 9051)} and others are taken")
