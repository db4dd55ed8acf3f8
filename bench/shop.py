"""The shop that is measured: one of its own on free ports and in a folder of its own, or one that runs already."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from sagaproof import runstate
from sagaproof.client import Gateway
from sagaproof.documents import accepted_decoder, order_decoder
from sagaproof.errors import CommandError, Unreachable
from sagaproof.group import Group
from sagaproof.ports import free_ports, is_free
from sagaproof.running import Places
from sagaproof.runstate import RunState
from sagaproof.settings import ADMIN_OFFSET, HOST, HTTP_OFFSET, REPLICA_OFFSET

BOOTSTRAP = Path(runstate.__file__).with_name("bootstrap.py")
READY_WITHIN_S = 240.0
STOP_WITHIN_S = 25.0
LOOK_EVERY_S = 0.02
_OURS = range(12_300, 19_700, 300)
"""Base ports: above those of a shop at its usual place."""
_HIGHEST = 20_000
"""Below those that tests draw."""
_NOT_OURS = {"KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "CATALOGUE", "DELIVERY_STEP_S"}
"""Settings of the user's own shop, which would make this another one than what is measured."""
_PORTS_A_KIND = 90
"""From a base port on: services, Kafka's and PostgreSQL's among them."""


class Shop:
    """A running shop: where it is, and what `sagaproof run` wrote down of it."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.url = url

    @property
    def state(self) -> RunState:
        """Raises Unreachable if its launcher is gone."""
        state = runstate.read(self.home)
        if state is None or not state.supervisor.find():
            raise Unreachable(f"the shop under {self.home} has ended; its logs are in {self.home / 'logs'}")
        return state

    @property
    def places(self) -> Places:
        return Places(self.state)

    def ready(self) -> bool:
        state = runstate.read(self.home)
        if state is None or not all(process.ready for process in state.processes.values()):
            return False
        try:
            return httpx.get(f"{self.url}/ready", timeout=2.0, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def started(
    home: Path, jars: Path, replicas: int, arguments: list[str], environment: Mapping[str, str]
) -> Generator[tuple[Shop, float]]:
    """A shop that runs for the length of the block, and after how many seconds its first order was completed.

    It begins with what `make run` does: set-up, which has nothing left to do. `arguments` go to `sagaproof run`. It
    does not outlive this process, however that ends. Raises CommandError.
    """
    home.mkdir(parents=True)
    (home / "kafka").symlink_to(jars)
    with _free_ports(replicas) as (base, port):
        env = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        env |= {"SAGAPROOF_HOME": str(home), "SAGAPROOF_BASE_PORT": str(base), "PORT": str(port), **environment}
        began = time.monotonic()
        group = Group()
        process = _launch(home, arguments, env, group.id)
        try:
            shop = Shop(home, f"http://{HOST}:{port}")
            _wait_until_ready(shop, process)
            with Gateway(shop.url) as gateway:
                completed_at = _complete_one(gateway)
            yield shop, round(completed_at - began, 2)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            group.end()


def _launch(home: Path, arguments: list[str], env: Mapping[str, str], group: int) -> subprocess.Popen[bytes]:
    with (home / "run.log").open("wb") as log:
        subprocess.run([sys.executable, "-I", BOOTSTRAP, "run"], env=env, stdout=log, stderr=log, check=False)
        command = [sys.executable, "-m", "sagaproof", "run", *arguments]
        return subprocess.Popen(command, env=env, stdout=log, stderr=log, process_group=group)


def _wait_until_ready(shop: Shop, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not shop.ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = (shop.home / "run.log").read_text(errors="replace").strip().splitlines()[-5:]
            raise CommandError("the shop did not start", said)
        time.sleep(LOOK_EVERY_S)


def running(url: str, home: Path) -> Shop:
    """The shop that runs at this URL; its launcher wrote to `home`. Raises CommandError."""
    state = runstate.read(home)
    if state is None or state.gateway != url.rstrip("/"):
        where = f"{state.gateway} runs" if state else "nothing runs"
        raise CommandError(f"{where} under {home}; set SAGAPROOF_HOME to the home of the shop at {url}")
    return Shop(home, url.rstrip("/"))


def _complete_one(gateway: Gateway) -> float:
    """When it was shown as completed. Returns once its last event is on the topic too: what comes later is measured."""
    completed_at = 0.0
    placed = accepted_decoder.decode(gateway.place([("product-1", 1)], user="bench-first"))
    with closing(gateway.watch(placed.order_id, within_s=READY_WITHIN_S)) as documents:
        for document in documents:
            order = order_decoder.decode(document)
            if order.status == "COMPLETED":
                completed_at = completed_at or time.monotonic()
                if any(entry.type == "OrderCompleted" for entry in order.timeline):
                    return completed_at
    raise CommandError("the first order was not completed")


@contextmanager
def _free_ports(replicas: int) -> Generator[tuple[int, int]]:
    """A base port, and one for the gateway. Locked, since a shop takes its ports seconds after they were found."""
    bases = [base for base in _OURS if base + replicas * REPLICA_OFFSET < _HIGHEST]
    for base in random.sample(bases, len(bases)):
        with (Path(tempfile.gettempdir()) / f"sagaproof-bench-{base}-{os.getuid()}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            kinds = [
                replica * REPLICA_OFFSET + offset
                for replica in range(replicas)
                for offset in (0, ADMIN_OFFSET, HTTP_OFFSET)
            ]
            wanted = [base + kind + n for kind in kinds for n in range(_PORTS_A_KIND if kind == 0 else 10)]
            if all(map(is_free, wanted)):
                yield base, free_ports(1)[0]
                return
    raise CommandError("no free ports for a shop of its own")
