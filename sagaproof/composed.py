"""Where the shop of `docker compose up` is reached from this machine, as Docker says it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from e2e.reading import Addresses
from sagaproof.errors import CommandError
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS, HOST

ROOT = Path(__file__).resolve().parent.parent
ASK_WITHIN_S = 30.0
KAFKA_PORT = 9092
Ports = dict[tuple[str, int], int]
"""(service, port in its container) -> port here."""


def addresses() -> Addresses:
    """Of what runs of the Compose project of this checkout, or of COMPOSE_PROJECT_NAME. Raises CommandError."""
    ports = _published()
    services = [name for name, port in GRPC_PORTS.items() if (name, port) in ports]
    if not services or ("kafka", KAFKA_PORT) not in ports:
        raise CommandError(
            "no shop of Compose runs here",
            ["start it: docker compose up; one under another name: COMPOSE_PROJECT_NAME=... sagaproof check --compose"],
        )
    away = [name for name in GRPC_PORTS if name not in services and name != "orchestrator"]
    if away:
        raise CommandError(
            f"of the shop of Compose does not run: {', '.join(away)}", ["docker compose up brings it back"]
        )
    return Addresses(
        f"{HOST}:{ports['kafka', KAFKA_PORT]}",
        {name: f"{HOST}:{ports[name, GRPC_PORTS[name]]}" for name in services},
        {name: f"{HOST}:{ports[name, GRPC_PORTS[name] + ADMIN_OFFSET]}" for name in services},
    )


def _published() -> Ports:
    command = ["docker", "compose", "ps", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASK_WITHIN_S, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"docker compose ps: {error}", ["is Docker installed, and does it run?"]) from None
    if done.returncode:
        raise CommandError(f"docker compose ps: {done.stderr.strip().splitlines()[-1]}")
    return {
        (container["Service"], each["TargetPort"]): each["PublishedPort"]
        for container in map(json.loads, done.stdout.splitlines())
        for each in container["Publishers"]
        if each["PublishedPort"]
    }
