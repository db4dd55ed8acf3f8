"""Where the shop of this machine can be reached: by what `sagaproof run` wrote down, else at the usual ports."""

import os
import re
from dataclasses import dataclass

from sagaproof import runstate
from sagaproof.errors import CommandError
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS, HOST, state_home

DEFAULT_URL = f"http://{HOST}:8080"
_ORDINAL = re.compile(r"-[0-9]+$")


@dataclass(frozen=True)
class Places:
    """Addresses of one shop. `state` is what its launcher wrote down, None if there is nothing."""

    state: runstate.RunState | None = None

    @property
    def url(self) -> str:
        return self.state.gateway if self.state else DEFAULT_URL

    @property
    def services(self) -> list[str]:
        """All processes with gRPC."""
        if self.state:
            return [name for name, process in self.state.processes.items() if process.grpc]
        return list(GRPC_PORTS)

    @property
    def kinds(self) -> list[str]:
        """The services, each named once however many replicas it has."""
        return [name for name in self.services if not _ORDINAL.search(name)]

    def replicas(self, service: str) -> list[str]:
        """The processes of a service (`order`, `order-1`), or of one replica (`order-1`). Raises CommandError."""
        self.listeners(service)
        return [name for name in self.services if service in (name, _ORDINAL.sub("", name))]

    def address(self, service: str) -> str:
        """The public gRPC listener of a service. Raises CommandError if there is no such service."""
        return self.listeners(service)[0]

    def admin_address(self, service: str) -> str:
        """Where its AdminService listens. Raises CommandError."""
        return self.listeners(service)[1]

    def listeners(self, service: str) -> list[str]:
        """Both of them. Raises CommandError."""
        if service not in self.services:
            raise CommandError(f"there is no service {service!r}; there is {', '.join(self.services)}")
        process = self.state.processes[service] if self.state else None
        public = process.grpc if process else GRPC_PORTS[service]
        admin = process.admin if process else public + ADMIN_OFFSET
        return [f"{HOST}:{public}", f"{HOST}:{admin}"]


def places() -> Places:
    """Those of the run under this user's SAGAPROOF_HOME."""
    return Places(runstate.read(state_home(os.environ)))
