"""`sagaproof run` as its user meets it, with stand-ins for the shop's processes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from sagaproof import run as launcher
from sagaproof import runstate
from sagaproof.ports import free_ports, is_free
from sagaproof.runstate import RunState
from sagaproof.tests.driver import NAMES
from sagaproof.tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


class Run:
    """One `sagaproof run` in a process of its own."""

    def __init__(self, home: Path, port: int, *options: str, **environ: str) -> None:
        self.home, self.port = home, port
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sagaproof.tests.driver", str(port), *options],
            cwd=ROOT,
            env={**os.environ, "SAGAPROOF_HOME": str(home), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def open(self) -> "Run":
        until(lambda: self.process.poll() is not None or self._all_ready(), what="all ready")
        assert self.process.poll() is None, self.output()
        return self

    def _all_ready(self) -> bool:
        state = runstate.read(self.home)
        if state is None or state.supervisor.pid != self.process.pid:
            return False
        return all(process.ready for process in state.processes.values())

    @property
    def state(self) -> RunState:
        state = runstate.read(self.home)
        assert state
        return state

    def children(self) -> dict[str, psutil.Process]:
        found = {name: recorded.find() for name, recorded in self.state.processes.items()}
        return {name: process for name, process in found.items() if process}

    def output(self) -> str:
        return self.process.communicate(timeout=20)[0]

    def journal(self) -> list[list[str]]:
        return [line.split() for line in (self.home / "journal").read_text().splitlines()]


class Runs:
    """Starts runs on ports of one test's own, and ends them after it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started = list[Run]()
        self.port = next(
            port for port in free_ports(200) if all(is_free(port + offset) for offset in range(len(NAMES)))
        )

    def __call__(self, *options: str, home: Path | None = None, **environ: str) -> Run:
        run = Run(home or self.home, self.port, *options, **environ)
        self.started.append(run)
        return run


@pytest.fixture
def start(tmp_path: Path) -> Generator[Runs]:
    runs = Runs(tmp_path / "home")
    yield runs
    for run in runs.started:
        run.process.kill()
        run.output()


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_it_starts_everything_and_a_signal_ends_it_in_order(start: Runs) -> None:
    run = start().open()
    run.process.send_signal(signal.SIGINT)
    output = run.output()
    assert run.process.returncode == 0
    assert "The shop is open" in output
    assert "sagaproof order product-1" in output
    ended = [name for what, name, _ in run.journal() if what == "ended"]
    assert ended[0] == "gateway"
    assert set(ended[1:3]) == {"alpha", "beta"}
    assert ended[3] == "base"
    assert not runstate.path(run.home).exists()


def test_services_start_when_what_they_need_is_ready(start: Runs) -> None:
    run = start("base=never-ready")
    until(lambda: (run.home / "journal").exists() and len(run.journal()) == 2, what="base and gateway started")
    assert {name for _, name, _ in run.journal()} == {"base", "gateway"}
    assert {name for name, process in run.state.processes.items() if process.pid} <= {"base", "gateway"}


def test_a_process_that_dies_is_restarted_and_said(start: Runs) -> None:
    run = start().open()
    before = run.children()["alpha"]
    before.kill()
    until(lambda: run.state.processes["alpha"].restarts == 1 and run.state.processes["alpha"].ready)
    assert run.state.processes["alpha"].pid != before.pid
    run.process.terminate()
    output = run.output()
    assert "alpha ended (SIGKILL)" in output
    assert "alpha is ready again" in output


def test_a_process_that_never_gets_ready_ends_the_run_with_its_last_words(start: Runs) -> None:
    run = start("beta=dies")
    output = run.output()
    assert run.process.returncode == 1
    assert "beta ended 3 times before it was ready (exit code 3)" in output
    assert "beta cannot go on" in output
    assert all(is_free(start.port + offset) for offset in range(len(NAMES)))


def test_one_that_ignores_the_signal_is_killed_within_its_time(start: Runs) -> None:
    run = start("alpha=deaf").open()
    children = run.children()
    run.process.terminate()
    assert "alpha had to be killed" in run.output()
    assert run.process.returncode == 0
    assert all(gone(child) for child in children.values())


def test_killing_the_supervisor_takes_its_children_along_and_the_next_run_recovers(start: Runs) -> None:
    run = start("alpha=deaf").open()
    children = run.children()
    assert set(children) == set(NAMES)
    run.process.kill()
    run.output()
    until(lambda: all(gone(child) for child in children.values()), within_s=5, what="children gone")
    start("alpha=deaf").open()


def test_what_a_killed_run_left_is_ended_by_the_next_even_without_its_reaper(start: Runs) -> None:
    run = start().open()
    children = run.children()
    supervisor = psutil.Process(run.process.pid)
    [reaper] = [process for process in supervisor.children() if "reaper.py" in " ".join(process.cmdline())]
    supervisor.suspend()  # so that it cannot put a new reaper in the place of the old one
    reaper.kill()
    run.process.kill()
    run.output()
    assert not any(gone(child) for child in children.values())
    again = start().open()
    assert all(gone(child) for child in children.values())
    again.process.terminate()
    assert "an earlier run was cut off" in again.output()


def test_a_killed_reaper_is_replaced(start: Runs) -> None:
    run = start().open()
    children = run.children()
    supervisor = psutil.Process(run.process.pid)

    def reapers() -> list[psutil.Process]:
        found = list[psutil.Process]()
        for child in supervisor.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends while it is looked at
                if "reaper.py" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    [first] = reapers()
    first.kill()
    until(lambda: [p for p in reapers() if p.pid != first.pid], what="a new reaper")
    run.process.kill()
    run.output()
    until(lambda: all(gone(child) for child in children.values()), within_s=5, what="children gone")


def test_a_home_in_use_is_refused_with_what_to_do(start: Runs) -> None:
    first = start().open()
    second = start()
    output = second.output()
    assert second.process.returncode == 1
    assert f"another run (pid {first.process.pid}) uses {start.home}" in output
    assert "sagaproof stop" in output
    assert first.process.poll() is None


def test_a_taken_port_is_refused_and_its_holder_named(start: Runs) -> None:
    with socket.create_server(("127.0.0.1", start.port + 1)):
        run = start()
        output = run.output()
    assert run.process.returncode == 1
    assert f"port {start.port + 1} (alpha) is taken by" in output
    assert f"(pid {os.getpid()})" in output
    assert not (run.home / "journal").exists()


def test_an_unreachable_kafka_is_said(start: Runs) -> None:
    [port] = free_ports(1)
    run = start(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}")
    output = run.output()
    assert run.process.returncode == 1
    assert f"Kafka at 127.0.0.1:{port} does not answer" in output
    assert "unset KAFKA_BOOTSTRAP_SERVERS" in output


def test_fresh_forgets_data_and_nothing_else(start: Runs) -> None:
    for kept in ("data/order.db", "kafka/jar", "journal"):
        (start.home / kept).parent.mkdir(parents=True, exist_ok=True)
        (start.home / kept).touch()
    run = start().open()
    run.process.terminate()
    run.output()
    assert (start.home / "data" / "order.db").exists()
    run = start("--fresh").open()
    assert not (start.home / "data" / "order.db").exists()
    assert (start.home / "kafka" / "jar").exists()


def test_fresh_does_not_touch_the_data_of_a_run_that_is_up(start: Runs) -> None:
    start().open()
    (start.home / "data" / "order.db").touch()
    assert start("--fresh").output()
    assert (start.home / "data" / "order.db").exists()


def test_stop_ends_the_run_from_outside(start: Runs) -> None:
    run = start().open()
    assert launcher.stop(start.home)
    assert run.process.wait(5) == 0
    assert not launcher.stop(start.home)


def test_logs_of_the_run_before_are_kept(start: Runs) -> None:
    log = start.home / "logs" / "alpha.log"
    log.parent.mkdir(parents=True)
    log.write_text("what was said before\n")
    start().open()
    assert log.with_name("alpha.log.1").read_text() == "what was said before\n"
