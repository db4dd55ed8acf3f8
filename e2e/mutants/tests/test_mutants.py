"""The machinery that tries mutants: it says of each what became of it, and passes only if all were caught."""

from pathlib import Path

import pytest

from e2e.checks import CHECKS
from e2e.mutants import replicas, worlds
from e2e.mutants.__main__ import MUTANTS, report
from e2e.mutants.in_engine import BATCH
from e2e.mutants.mutant import CHECKOUT, Edit, Misplaced, Mutant, plant
from e2e.mutants.servers import Servers
from e2e.mutants.trial import attempt

OF_A_WAY = {"worlds": worlds.CHECKS, "replicas": replicas.CHECKS}
"""What finds mutants besides the checks of histories."""
FEW = 2
"""Histories, where nothing is to be found in them."""
SKIPPED_VERSION = Edit(BATCH, "self._versions.get(entity, 0) + 1", "self._versions.get(entity, 0) + 2")
SAME = Edit(
    BATCH,
    "        self._versions.update(versions)\n",
    "        self._versions.update(versions)\n        del versions\n",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_has_its_place_in_the_code_and_a_check_to_find_it(mutant: Mutant) -> None:
    assert mutant.check in (*CHECKS, *OF_A_WAY.get(mutant.tried, ()))
    for file, old, new in mutant.edits:
        assert (CHECKOUT / file).read_text().count(old) == 1, f"{file} does not have once: {old}"
        assert old != new


def test_no_two_mutants_have_the_same_name() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("edit", "times"),
    [
        (Edit(BATCH, "no such text", ""), 0),
        (Edit(BATCH, "self._states", ""), 6),
        (Edit("services/none.py", "x", ""), 0),
    ],
)
def test_a_mutant_whose_place_is_gone_or_not_one_is_said_and_fails(
    edit: Edit, times: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mutant = Mutant("Its place is gone", "stock", [edit])
    with pytest.raises(Misplaced, match=f"{edit.file} has {times} times, and not once: {edit.old}"):
        plant(mutant, tmp_path / "copy")
    assert report([mutant]) == 1
    assert f"Misplaced: {edit.file} has" in capsys.readouterr().out


def test_a_mutant_that_changes_nothing_survives_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([Mutant("Nothing is wrong in it", "stock", [SAME], histories=FEW)]) == 1
    said = capsys.readouterr().out
    assert "Nothing is wrong in it: NOT CAUGHT by stock (choreographed" in said
    assert f"nothing was found in {FEW} histories" in said
    assert "0 of 1 trials of 1 mutants caught" in said


def test_a_mutant_is_caught_by_the_check_that_is_named_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    mutant = Mutant("Versions are skipped", "effects-once", [SKIPPED_VERSION])
    assert report([mutant]) == 0
    said = capsys.readouterr().out
    assert "Versions are skipped: caught by effects-once (choreographed, seed 1" in said
    assert "1 of 1 trials of 1 mutants caught" in said


def test_a_mutant_that_another_check_has_found_is_not_caught(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([Mutant("Versions are skipped", "money", [SKIPPED_VERSION])]) == 1
    assert "NOT CAUGHT by money, but by effects-once" in capsys.readouterr().out


def test_a_copy_that_cannot_run_is_said_and_not_caught() -> None:
    broken = Mutant("It is no Python", "stock", [Edit(BATCH, "class Batch:", "class Batch")])
    with Servers() as servers:
        trial = attempt(broken, "choreographed", servers)
    assert not trial.caught
    assert "SyntaxError" in trial.finding.said
