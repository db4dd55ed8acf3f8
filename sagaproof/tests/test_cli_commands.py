"""The command line itself: what it accepts, how it ends, and how fast it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sagaproof.cli import main
from sagaproof.ports import free_ports

COMMANDS = (
    *("run", "stop", "demo"),
    *("order", "status", "watch", "cancel", "products", "marketing"),
    *("restock", "deposit", "logs", "trace", "health", "admin", "dlq", "fault"),
)


@pytest.fixture(autouse=True)
def nothing_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    monkeypatch.delenv("SAGAPROOF_URL", raising=False)


def ended(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(arguments))
    return int(str(end.value.code or 0))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(command, "--help") == 0
    assert f"sagaproof {command}" in capsys.readouterr().out


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--help") == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'httpx', 'grpc', 'websockets', 'msgspec', 'psutil', 'confluent_kafka'}"
    code = (
        "import sys\nfrom sagaproof.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"sys.exit(str({heavy} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("order",),
        ("order", "product-1:1.5"),
        ("order", "product-1:"),
        ("order", ":2"),
        ("deposit", "ann", "1.234"),
        ("deposit", "ann", "ten"),
        ("restock", "product-1", "0"),
        ("watch", "x", "--since", "-1"),
        ("logs", "--level", "LOUD"),
        ("run", "--port", "99999"),
        ("run", "--mode", "both"),
        ("fault", "kill", "inventory", "--at", "nowhere"),
        ("fault", "stall", "inventory", "--at", "after-commit", "--ms", "0"),
        ("dlq", "list", "--status", "lost"),
        ("nonsense",),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert ended(*arguments) == 2


@pytest.mark.parametrize("command", [("products",), ("status", "x"), ("watch", "x"), ("cancel", "x"), ("order", "p")])
def test_a_gateway_that_is_not_there_is_one_line_with_what_to_do(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert ended(*command, "--url", url) == 1
    assert capsys.readouterr().err == f"nothing answers at {url}: start it with `make run`\n"


def test_an_address_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("products", "--url", "127.0.0.1:8080") == 1
    assert "looks like http://127.0.0.1:8080" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_one_line_and_the_way_to_repeat_the_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    assert ended("deposit", "ann", "5", "--address", address, "--request-id", "r-1") == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"nothing answers at {address} (payment): start it with `make run`"
    assert second.endswith("--request-id r-1")


def test_an_unknown_service_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("admin", "warehouse") == 1
    assert "there is order, inventory, payment" in capsys.readouterr().err


def test_there_is_nothing_to_stop_where_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("stop") == 1
    assert "nothing runs here" in capsys.readouterr().err


def test_logs_that_are_not_there_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("logs") == 1
    assert "start the shop with `make run`" in capsys.readouterr().err
