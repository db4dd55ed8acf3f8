"""`sagaproof run` and `sagaproof stop`: the whole shop as one program on this machine.

`run` takes the home folder for itself, checks every port, ends what a killed run has left, starts everything and keeps
it running until Ctrl-C, SIGTERM or SIGHUP. Data stays in `<home>/data`. Whatever keeps it from running is said in one
line with what to do, and the exit code is 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

import msgspec
import psutil

from sagaproof import kafka_admin, logfile, ports, postgres_node, runstate
from sagaproof.progress import Progress
from sagaproof.runstate import Running, RunState, Supervised
from sagaproof.settings import Settings
from sagaproof.stack import Part, Stack, the_shop
from sagaproof.supervisor import Event, Supervisor, SupervisorError
from services.engine import settings as engine_settings
from services.engine.kafka_access import AccessRefused, KafkaSettings
from services.topics import TOPICS

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
EXTERNAL_KAFKA_S = 5.0
LEFTOVERS_S = 5.0
STOP_S = 20.0
SLOW_START_S = 45.0
"""Everything is ready after 5 to 15 s; when it is not by then, it is said what is awaited."""
TWICE_AFTER_S = 1.0
"""A second signal this soon is the same wish: some parents send it to the process and to its group."""


class RunError(RuntimeError):
    """The shop cannot be run like this; the message is the line to print."""


def run(settings: Settings, stack: Callable[[Settings], Stack] = the_shop) -> int:
    """Run until told to stop. Gives the exit code: 0 when told, 1 when it could not go on (the reason is on stderr)."""
    try:
        with alone_in(settings.home):
            _clear_the_way(settings)
            if settings.postgres and not postgres_node.is_installed():
                _install_postgres()
            shop = stack(settings)
            _check_ports(shop.parts)
            for part in shop.parts:
                logfile.rotate(part.spec.log)
            asyncio.run(_run(settings, shop))
    except (RunError, SupervisorError, kafka_admin.KafkaError, postgres_node.PostgresError, OSError) as error:
        print(f"sagaproof run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before there was anything to stop
        return 130
    return 0


def stop(home: Path) -> bool:
    """End the run of this home in order, and wait until it has gone. False if there is none."""
    state = runstate.read(home)
    process = state.supervisor.find() if state else None
    if process is None:
        return bool(runstate.end_leftovers(home))
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except psutil.TimeoutExpired:
            process.kill()  # its children go with it
            process.wait(STOP_S)
    return True


@contextlib.contextmanager
def alone_in(home: Path) -> Generator[None]:
    """Hold the home folder: two runs on the same data would destroy it. Raises RunError."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = runstate.read(home)
            who = f" (pid {state.supervisor.pid})" if state and state.supervisor.find() else ""
            raise RunError(
                f"another run{who} uses {home}; end it with `sagaproof stop`, "
                "or give this one a folder of its own with SAGAPROOF_HOME"
            ) from None
        yield


def _clear_the_way(settings: Settings) -> None:
    if left := runstate.end_leftovers(settings.home):
        print(f"an earlier run was cut off; ended what it had left: {', '.join(left)}", flush=True)
    if settings.bootstrap_servers is not None:
        if settings.fresh:
            raise RunError(
                "--fresh would delete the services' data and not the topics of the Kafka at "
                f"{settings.bootstrap_servers}, and the two belong together; unset KAFKA_BOOTSTRAP_SERVERS"
            )
        _check_kafka(settings.bootstrap_servers, settings.environ)
    if settings.fresh and settings.database_url and settings.on_postgres:
        raise RunError(
            "--fresh would delete Kafka's topics and not the databases of the PostgreSQL server that DATABASE_URL "
            "names, and the two belong together; unset DATABASE_URL"
        )
    if settings.fresh:
        shutil.rmtree(settings.data, ignore_errors=True)
    settings.data.mkdir(parents=True, exist_ok=True)
    _check_data(settings)


def _install_postgres() -> None:
    """At the first `--postgres`: the server is large, and most never ask for it."""
    step = subprocess.run([sys.executable, "-I", str(BOOTSTRAP), "postgres"], check=False)
    if step.returncode or not postgres_node.is_installed():
        raise RunError("the PostgreSQL server could not be installed")


def _check_data(settings: Settings) -> None:
    """What the topics say was handled is in one kind of database; the other kind would lack it."""
    kind = "PostgreSQL" if settings.on_postgres else "SQLite"
    note = settings.data / "database"
    before = note.read_text().strip() if note.exists() else None
    if before not in (None, kind):
        raise RunError(
            f"the data in {settings.home} is on {before}, and this run would be on {kind}; go on as before, forget it "
            "with --fresh, or give this run a folder of its own with SAGAPROOF_HOME"
        )
    note.write_text(f"{kind}\n")


def _check_kafka(bootstrap_servers: str, environ: Mapping[str, str]) -> None:
    given = engine_settings.read(KafkaSettings, {**environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers})
    try:
        given.check_access()
        kafka_admin.wait_until_it_answers(bootstrap_servers, timeout_s=EXTERNAL_KAFKA_S, security=given.kafka)
    except AccessRefused as error:
        raise RunError(str(error)) from error
    except kafka_admin.KafkaError as error:
        raise RunError(f"{error}; start it, or unset KAFKA_BOOTSTRAP_SERVERS and this run brings its own") from error
    kafka_admin.create_topics(bootstrap_servers, TOPICS, security=given.kafka)


def _check_ports(parts: Sequence[Part]) -> None:
    """Every port is free. A process that was killed a moment ago is given a moment to be gone."""
    deadline = time.monotonic() + LEFTOVERS_S
    for part in parts:
        for port in part.listens:
            while not ports.is_free(port):
                who = ports.holder(port)
                if who is not None or time.monotonic() > deadline:
                    hint = "; or choose another with PORT=8081" if part.spec.name == "gateway" else ""
                    raise RunError(
                        f"port {port} ({part.spec.name}) is taken by {who or 'another program'}: end that first{hint}"
                    )
                time.sleep(0.1)


async def _run(settings: Settings, shop: Stack) -> None:
    stopped = asyncio.Event()
    progress = Progress(settings, shop)
    record = _Record(settings, shop)

    def tell(event: Event) -> None:
        record.hear(event)
        progress.hear(event)

    supervisor = Supervisor([part.spec for part in shop.parts], tell)

    asked_at = 0.0

    def end() -> None:
        nonlocal asked_at
        if not stopped.is_set():
            asked_at = time.monotonic()
            progress.stopping()
            stopped.set()
        elif time.monotonic() - asked_at > TWICE_AFTER_S:
            supervisor.hurry()

    loop = asyncio.get_running_loop()
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(asked, end)
    loop.call_later(SLOW_START_S, progress.still_waiting)
    with progress:
        try:
            await supervisor.run(stopped, on_ready=progress.all_ready)
        finally:
            runstate.clear(settings.home)


class _Record:
    """Keeps run.json true."""

    def __init__(self, settings: Settings, shop: Stack) -> None:
        self._home = settings.home
        processes = {
            part.spec.name: Supervised(grpc=part.grpc, admin=part.admin, http=part.http, log=str(part.spec.log))
            for part in shop.parts
        }
        self._state = RunState(
            supervisor=Running.of(os.getpid()),
            gateway=shop.gateway,
            kafka=shop.kafka,
            mode=settings.mode,
            home=str(settings.home),
            processes=processes,
        )
        runstate.write(self._home, self._state)

    def hear(self, event: Event) -> None:
        now = Running.of(event.pid) if event.pid else Running()
        self._state.processes[event.name] = msgspec.structs.replace(
            self._state.processes[event.name],
            pid=now.pid,
            started=now.started,
            restarts=event.restarts,
            ready=event.what == "ready",
        )
        runstate.write(self._home, self._state)
