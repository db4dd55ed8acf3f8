"""`sagaproof check` tells "something is wrong" from "that cannot be said", for programs too."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from e2e.checks import CHECKS
from e2e.checks.violation import Violation
from e2e.large import Verdict
from sagaproof.cli import main
from sagaproof.cli_check import NOT_KNOWN, say

WRONG = Violation("stock", "order-1", "inventory: OrderCreated -> InventoryConfirmed", "inventory", "there are -1")


def test_where_nothing_runs_nothing_is_said_of_right_and_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["check", "--json"])
    assert ended.value.code == NOT_KNOWN == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "nothing runs here" in said.err


@pytest.mark.parametrize("as_json", [True, False])
def test_a_violation_is_shown_and_is_exit_code_1(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict(3, [WRONG], {**dict.fromkeys(CHECKS, 0), "stock": 7})
    assert say(verdict, as_json=as_json) == 1
    said = capsys.readouterr().out
    if as_json:
        found = msgspec.json.decode(said)
        assert found["counts"]["stock"] == 7
        assert found["violations"] == [msgspec.to_builtins(WRONG)]
    else:
        assert "stock            7 wrong" in said
        assert "and 6 more" in said
        assert "sagaproof explain order-1" in said
        assert "money            right" in said


def test_when_all_is_right_the_exit_code_is_0() -> None:
    assert say(Verdict(3, [], dict.fromkeys(CHECKS, 0)), as_json=True) == 0
