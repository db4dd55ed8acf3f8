"""What the environment says of a run on this machine: one place reads it, everything else is given a `Settings`.

Standard library only, so that set-up (sagaproof/set_up.py) can use it before anything is installed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.topics import SHOP

HOST = "127.0.0.1"
BASE_PORT = 9050
GRPC_PORTS = {service.name: service.grpc_port for service in SHOP}
ADMIN_OFFSET = 100
HTTP_OFFSET = 200
"""A service's admin port and HTTP port (/health, /ready, /metrics) are its gRPC port plus these."""
REPLICA_OFFSET = 1000
"""From the ports of one replica of a service to those of the next."""
REPLICAS_MAX = 6
"""As many as partitions: more would have nothing to do."""
POSTGRES = ("postgresql://", "postgres://")
SAGA_MODES = ("choreographed", "orchestrated")


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names the variable and what it may be."""


def state_home(env: Mapping[str, str]) -> Path:
    """The folder of all state and downloads outside the venv: SAGAPROOF_HOME, else the user's state folder."""
    if env.get("SAGAPROOF_HOME"):
        return Path(env["SAGAPROOF_HOME"]).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "sagaproof"
    return Path(env.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "sagaproof"


@dataclass(frozen=True)
class Settings:
    """One run of the shop.

    bootstrap_servers: a Kafka that runs already; None: this run brings its own
    database_url:      with `{service}` in it, or a PostgreSQL server and its administrator; None: SQLite, a file each
    postgres:          this run brings a PostgreSQL server
    replicas:          processes of each service
    base_port:         the services listen on it + 1, + 2, ...; anything but 9050 is for a second shop on one machine
    environ:           what the services' environment is made from
    """

    home: Path
    port: int = 8080
    base_port: int = BASE_PORT
    mode: str = "choreographed"
    bootstrap_servers: str | None = None
    database_url: str | None = None
    fresh: bool = False
    postgres: bool = False
    replicas: int = 1
    environ: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def grpc_ports(self) -> dict[str, int]:
        """The services that run in this mode, and their gRPC ports."""
        unused = "" if self.mode == "orchestrated" else "orchestrator"
        return {name: port - BASE_PORT + self.base_port for name, port in GRPC_PORTS.items() if name != unused}

    def database(self, service: str) -> str:
        """The service's DATABASE_URL."""
        if self.database_url is None:
            return f"sqlite:///{self.data / service}.db"
        return self.database_url.replace("{service}", service)

    @property
    def on_postgres(self) -> bool:
        return self.postgres or (self.database_url or "").startswith(POSTGRES)

    @property
    def database_admin(self) -> str | None:
        """Of a PostgreSQL server that runs already, on which databases and roles are to be made."""
        return self.database_url if self.database_url and "{service}" not in self.database_url else None

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        fresh: bool = False,
        postgres: bool = False,
        replicas: int = 1,
        mode: str | None = None,
    ) -> Settings:
        """Read PORT, SAGA_MODE, KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL, SAGAPROOF_HOME and SAGAPROOF_BASE_PORT.

        Raises SettingsError.
        """
        env = dict(os.environ) if env is None else env
        name, mode = ("--mode", mode) if mode else ("SAGA_MODE", env.get("SAGA_MODE") or "choreographed")
        if mode not in SAGA_MODES:
            raise SettingsError(f"{name} is {mode!r}; it may be {' or '.join(SAGA_MODES)}")
        if env.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT") != "PLAINTEXT" and not env.get("KAFKA_BOOTSTRAP_SERVERS"):
            raise SettingsError("KAFKA_SECURITY_PROTOCOL is of a Kafka that KAFKA_BOOTSTRAP_SERVERS names; set both")
        database = env.get("DATABASE_URL") or None
        if database is not None:
            _check_database(database, postgres=postgres)
        on_postgres = postgres or (database or "").startswith(POSTGRES)
        if not 1 <= replicas <= REPLICAS_MAX:
            raise SettingsError(f"--replicas is {replicas}; it may be a number from 1 to {REPLICAS_MAX}")
        if replicas > 1 and not on_postgres:
            raise SettingsError("an SQLite file has one writer, so --replicas needs --postgres (or DATABASE_URL)")
        return cls(
            home=state_home(env),
            port=_port("PORT", env.get("PORT") or "8080", 65535) if port is None else _port("port", str(port), 65535),
            base_port=_port("SAGAPROOF_BASE_PORT", env.get("SAGAPROOF_BASE_PORT") or str(BASE_PORT), 32000),
            mode=mode,
            bootstrap_servers=env.get("KAFKA_BOOTSTRAP_SERVERS") or None,
            database_url=database,
            fresh=fresh,
            postgres=postgres,
            replicas=replicas,
            environ=env,
        )


def _check_database(url: str, *, postgres: bool) -> None:
    if postgres:
        raise SettingsError("--postgres brings a server, and DATABASE_URL names one; unset one of the two")
    if not url.startswith((*POSTGRES, "sqlite:///")) or (url.startswith("sqlite:") and "{service}" not in url):
        raise SettingsError(
            f"DATABASE_URL is {without_password(url)!r}; it may be sqlite:////folder/{{service}}.db, or "
            "postgresql://ADMIN:PASSWORD@HOST:PORT/postgres; unset it for the default"
        )


def without_password(url: str) -> str:
    """A URL that may be shown."""
    return re.sub(r"(?<=:)[^:@/]+(?=@)", "***", url)


def _port(name: str, text: str, highest: int) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= highest:
        raise SettingsError(f"{name} is {text!r}; it may be a number from 1 to {highest}")
    return int(text)
