"""What a mutant is, and how it is planted into a copy of the code."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from services.saga import Mode

CHECKOUT = Path(__file__).parents[2]
_SKIPPED = shutil.ignore_patterns("__pycache__", "tests")


Way = Literal["histories", "worlds", "replicas", "deliveries"]


class Edit(NamedTuple):
    """In `file`, `old` is replaced by `new`; `old` must be there, once."""

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """Something that is broken.

    name:      a sentence that says what is wrong in it
    check:     the one that must be among those which find it where something is wrong for the first time: of
               `e2e.checks.CHECKS`, or one that the way of trying has besides
    edits:     one; more where one line of defence hides that another is gone
    modes:     it is tried in each, and must be caught in each
    histories: so many are tried at most
    tried:     in simulated histories, in every world of an order, by two replicas on PostgreSQL, or by deliveries to a
               broker that stands still for a while
    """

    name: str
    check: str
    edits: Sequence[Edit]
    modes: Sequence[Mode] = ("choreographed",)
    histories: int = 200
    tried: Way = "histories"


class Misplaced(Exception):
    """The text that a mutant replaces is not where it was, or there more than once."""


def plant(mutant: Mutant, folder: Path, checkout: Path = CHECKOUT) -> None:
    """Puts a copy of the code into `folder`, with the mutant in it. Raises Misplaced."""
    for package in ("services", "e2e"):
        shutil.copytree(checkout / package, folder / package, ignore=_SKIPPED)
    (folder / "gen").symlink_to(checkout / "gen")
    for edit in mutant.edits:
        path = folder / edit.file
        text = path.read_text() if path.is_file() else ""
        times = text.count(edit.old)
        if times != 1:
            raise Misplaced(f"{edit.file} has {times} times, and not once: {edit.old.strip().splitlines()[0]}")
        path.write_text(text.replace(edit.old, edit.new))
