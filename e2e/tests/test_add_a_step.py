"""docs/add-a-step.md, followed to the letter in a copy of the checkout: it leads to a step that is proven.

A block of the page says what it is behind its language: `file=...` is a whole new file, a `diff` changes files, `sh` is
run. The rest belongs to what is run afterwards: `proof` (must pass), `prove` (the same, but long), and of each mistake
`bug` (a diff), `fails` (must fail) and `said` (with these words; ` ... ` stands for any).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "add-a-step.md"
COPIED = ("conftest.py", "pyproject.toml", "bench", "docs", "e2e", "gateway", "k8s", "proto", "sagaproof", "services")
SKIPPED = shutil.ignore_patterns("__pycache__")
BIN = Path(sys.executable).parent
IN_THE_COPY = {"make gen": ".venv/bin/python -m sagaproof.protoc gen", ".venv/bin/": f"{BIN}/"}
"""What is done there in place of a command: it has no venv of its own."""
COMMAND_S_MAX = 1200
TEST_S_MAX = 3000
"""Of tests that run many others, on a machine that is busy."""

pytestmark = pytest.mark.timeout(TEST_S_MAX)


class Block(NamedTuple):
    """`tag`: the word behind the language, if there is one."""

    language: str
    tag: str
    text: str


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]


BLOCKS = blocks(PAGE.read_text())


def tagged(tag: str) -> list[str]:
    return [block.text for block in BLOCKS if block.tag == tag]


def commands(tag: str) -> list[str]:
    return [line for text in tagged(tag) for line in text.splitlines()]


MISTAKES = list(zip(tagged("bug"), tagged("fails"), tagged("said"), strict=True))


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    for there, here in IN_THE_COPY.items():
        script = script.replace(there, here)
    return subprocess.run(
        ["sh", "-ec", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": os.pathsep.join((str(BIN), os.environ["PATH"])),
            "PYTHONPATH": os.pathsep.join((str(folder), str(folder / "gen"))),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )


def succeeds(folder: Path, script: str) -> str:
    done = run(folder, script)
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


def apply(folder: Path, diff: str, *arguments: str) -> None:
    """Changes files of the folder, as the page does it to its reader's."""
    done = subprocess.run(
        ["git", "apply", "-C1", *arguments], cwd=folder, input=diff, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}\n{diff}"


def follow(folder: Path, block: Block) -> None:
    """One block of the way to the step."""
    if block.tag.startswith("file="):
        path = folder / block.tag.removeprefix("file=")
        assert not path.exists(), f"{path} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
    elif block[:2] == ("diff", ""):
        apply(folder, block.text)
    elif block[:2] == ("sh", ""):
        succeeds(folder, block.text)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout to whose saga the step was added."""
    folder = tmp_path_factory.mktemp("sagaproof")
    for name in COPIED:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / name, ignore=SKIPPED)
        else:
            shutil.copy(CHECKOUT / name, folder / name)
    for block in BLOCKS:
        follow(folder, block)
    return folder


def test_who_follows_the_page_has_a_step_that_is_proven(followed: Path) -> None:
    said = "".join(succeeds(followed, command) for command in commands("proof"))
    assert len(re.findall(r"^endings .*FRAUD_SUSPECTED", said, re.MULTILINE)) == 2, "a mode has not come to the step"


@pytest.mark.parametrize(("bug", "command", "said"), MISTAKES, ids=["it forgets to suspect", "it answers again"])
def test_a_mistake_in_the_new_step_is_found_by_what_the_page_says(
    followed: Path, bug: str, command: str, said: str
) -> None:
    apply(followed, bug)
    try:
        done = run(followed, command)
    finally:
        apply(followed, bug, "-R")
    assert done.returncode == 1, done.stdout
    assert re.search(".*".join(map(re.escape, said.strip().split(" ... "))), done.stdout), done.stdout


@pytest.mark.prove
def test_the_new_step_is_as_right_in_all_that_takes_long(followed: Path) -> None:
    for command in commands("prove"):
        succeeds(followed, command)
