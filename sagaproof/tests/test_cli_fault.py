"""`sagaproof fault` against inventory's real engine and AdminService, with two replicas."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from sagaproof.cli import main
from sagaproof.tests.admin_process import AdminProcess, running
from sagaproof.tests.waiting import until
from services.engine.faults import Fault

REPLICAS = ("inventory", "inventory-1")


@pytest.fixture
def replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[list[AdminProcess]]:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    with running(tmp_path, *REPLICAS) as processes:
        yield processes


def ended(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(("fault", *arguments)))
    return int(str(end.value.code or 0))


def test_a_kill_is_armed_in_each_replica_and_listed(
    replicas: list[AdminProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("kill", "inventory", "--at", "after-commit", "--type", "OrderCreated", "--nth", "3") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: kill after-commit with OrderCreated, time 3" for name in REPLICAS
    ]
    armed = Fault("after-commit", "kill", "shop.order.v1.OrderCreated", 3)
    assert [process.faults.armed() for process in replicas] == [[armed], [armed]]
    assert ended("list", "inventory") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        [name, "kill", "after-commit", "OrderCreated", "3"] for name in REPLICAS
    ]


@pytest.mark.parametrize("words", [("inventory", "--replica", "1"), ("inventory-1",)])
def test_a_fault_can_be_of_one_replica_alone(words: tuple[str, ...], replicas: list[AdminProcess]) -> None:
    assert ended("stall", *words, "--at", "before-mark", "--ms", "2500") == 0
    assert replicas[0].faults.armed() == []
    assert replicas[1].faults.armed() == [Fault("before-mark", "stall", "", 1, 2500)]


def test_a_fault_that_has_struck_is_not_listed_any_more(
    replicas: list[AdminProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("stall", "inventory", "--replica", "0", "--at", "before-transaction", "--ms", "1") == 0
    replicas[0].receive(b"garbage", {}, b"")
    until(lambda: not replicas[0].faults.armed())
    capsys.readouterr()
    assert ended("list", "inventory") == 0
    assert capsys.readouterr().out == "no fault is armed\n"


def test_what_is_armed_can_be_cleared(replicas: list[AdminProcess], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("kill", "inventory", "--at", "amid-publish") == 0
    assert ended("clear", "inventory") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "cleared: 2"
    assert [process.faults.armed() for process in replicas] == [[], []]


def test_the_list_as_json_says_of_each_process_what_is_armed(
    replicas: list[AdminProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("stall", "inventory-1", "--at", "before-mark", "--ms", "7") == 0
    capsys.readouterr()
    assert ended("list", "--json") == 1  # order does not answer
    printed = capsys.readouterr()
    assert "(order): start it with `make run`" in printed.err
    fault = {"point": "before-mark", "action": "stall", "messageType": None, "nth": 1, "stallMs": 7}
    assert len(replicas) == 2
    assert json.loads(printed.out) == [
        {"process": "inventory", "allowed": True, "faults": []},
        {"process": "inventory-1", "allowed": True, "faults": [fault]},
    ]


def test_a_service_that_allows_no_faults_refuses_and_it_is_said_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    with running(tmp_path, "inventory", faults=False) as [inventory]:
        assert ended("kill", "inventory", "--at", "after-commit") == 1
        first, second, _ = capsys.readouterr().err.splitlines()
        assert first == "inventory does not allow faults"
        assert "FAULTS=1" in second
        assert inventory.faults.armed() == []
        assert ended("list", "inventory") == 0
        assert "none is allowed here (FAULTS=1 does)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kill", "warehouse", "--at", "after-commit"), "there is no service 'warehouse'"),
        (("kill", "order", "--at", "after-commit"), "(order): start it with `make run`"),
        (("kill", "inventory", "--at", "after-commit", "--replica", "2"), "inventory has no replica 2; it has 2"),
        (("kill", "inventory", "--at", "after-commit", "--type", "OrderDreamt"), "no message type 'OrderDreamt'"),
        (("kill", "inventory", "--at", "after-commit", "--type", "created"), "there is shop.order.v1.OrderCreated"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_armed(
    arguments: tuple[str, ...], said: str, replicas: list[AdminProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*arguments) == 1
    assert said in capsys.readouterr().err
    assert [process.faults.armed() for process in replicas] == [[], []]
