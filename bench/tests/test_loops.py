"""Orders through all loops in one thread: every service does its part of each, and what it cost is told."""

import pytest

from bench import loops


def test_what_a_message_costs_is_told_of_every_service(capsys: pytest.CaptureFixture[str]) -> None:
    loops.main(["--orders", "6", "--batch", "3"])
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert list(told) == [
        *("order", "inventory", "payment", "shipping", "notification", "status", "marketing"),
        "all",
    ]
    for service, messages in (("order", 2), ("inventory", 2), ("payment", 1), ("notification", 4), ("status", 12)):
        assert f" {messages}.0 messages an order" in told[service]


def test_of_one_service_it_is_told_where_the_time_goes(capsys: pytest.CaptureFixture[str]) -> None:
    loops.main(["--orders", "2", "--batch", "2", "--profile", "status"])
    assert "services/engine/loop.py" in capsys.readouterr().out
