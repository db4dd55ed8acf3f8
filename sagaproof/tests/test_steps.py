"""A step of the supervisor: done once, before what comes after it; and what `run` refuses before it starts anything."""

import asyncio
import sys
from pathlib import Path

import pytest

from sagaproof.run import run
from sagaproof.settings import Settings
from sagaproof.stack import Stack
from sagaproof.supervisor import Event, ProcessSpec, Supervisor, SupervisorError

WITHIN_S = 30.0


def step(folder: Path, code: str) -> ProcessSpec:
    command = [sys.executable, "-I", "-S", "-c", code]
    return ProcessSpec("step", command, {}, folder, folder / "step.log", once=True)


def after_it(folder: Path) -> ProcessSpec:
    command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
    return ProcessSpec("after", command, {}, folder, folder / "after.log", ready=lambda: True, after=["step"], stop_s=1)


async def supervise(*specs: ProcessSpec) -> list[Event]:
    """Until all are ready; what happened by then."""
    heard: list[Event] = []
    stop = asyncio.Event()
    async with asyncio.timeout(WITHIN_S):
        await Supervisor(specs, heard.append).run(stop, on_ready=stop.set)
    return heard


def test_what_comes_after_a_step_starts_when_that_has_ended_well_and_it_is_done_once(tmp_path: Path) -> None:
    heard = asyncio.run(supervise(step(tmp_path, "print('done')"), after_it(tmp_path)))
    happened = [(event.name, event.what) for event in heard]
    assert happened[:4] == [("step", "started"), ("step", "ready"), ("after", "started"), ("after", "ready")]
    assert happened.count(("step", "started")) == 1


def test_a_step_that_fails_is_tried_again_and_then_ends_the_run_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(SupervisorError, match="step ended 3 times before it was ready") as caught:
        asyncio.run(supervise(step(tmp_path, "import sys; sys.exit('the reason')"), after_it(tmp_path)))
    assert "the reason" in str(caught.value)
    assert not (tmp_path / "after.log").exists()


def nothing(_: Settings) -> Stack:
    raise AssertionError("it went on")


def test_data_of_one_kind_of_database_is_not_gone_on_with_on_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {"SAGAPROOF_HOME": str(tmp_path)}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "database").write_text("SQLite\n")
    assert run(Settings.from_env(env, postgres=True), nothing) == 1
    error = capsys.readouterr().err
    assert "is on SQLite, and this run would be on PostgreSQL" in error
    assert len(error.splitlines()) == 1


def test_a_given_postgresql_is_not_forgotten_by_half(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {"SAGAPROOF_HOME": str(tmp_path), "DATABASE_URL": "postgresql://root:secret@127.0.0.1:1/postgres"}
    assert run(Settings.from_env(env, fresh=True), nothing) == 1
    assert "the two belong together" in capsys.readouterr().err
