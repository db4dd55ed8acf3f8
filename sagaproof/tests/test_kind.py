"""A cluster by kind: what is done in which order. The commands are noted, not run: there is no node image here."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from sagaproof import kind
from sagaproof.errors import CommandError


class Noted:
    """What was run, and at last the operator's manifest."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[str] = []
        monkeypatch.setattr(kind, "run", self._run)
        monkeypatch.setattr(kind, "install_strimzi", self._install)

    def _install(self, _: object, manifest: str) -> None:
        self._run(["strimzi", manifest])

    def _run(self, command: Sequence[str]) -> None:
        self.commands.append(" ".join(command))

    def first(self, beginning: str) -> int:
        return next(n for n, command in enumerate(self.commands) if command.startswith(beginning))


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    return Noted(monkeypatch)


def nothing(_: str) -> None:
    """Finds no program."""


def said(_: str) -> None:
    """Nobody watches."""


def test_archives_are_loaded_before_anything_is_built_or_pulled(noted: Noted, tmp_path: Path) -> None:
    for name in ("node.tar", "kafka.tar.gz", "notes.txt"):
        (tmp_path / name).touch()
    kind.create(said, tmp_path)
    loads = [command for command in noted.commands if command.startswith("docker load")]
    assert [Path(command.split()[-1]).name for command in loads] == ["kafka.tar.gz", "node.tar"]
    assert noted.commands[: len(loads)] == loads
    assert noted.first("docker build") < noted.first("kind create cluster")
    inside = [command for command in noted.commands if command.startswith("kind load image-archive")]
    assert len(inside) == len(loads)


def test_the_shops_images_are_in_the_cluster_before_the_operator_starts(noted: Noted) -> None:
    kind.create(said)
    assert noted.first("kind load docker-image") < noted.first("strimzi")
    assert noted.commands[-1] == f"strimzi {kind.STRIMZI}"


def test_what_an_air_gapped_place_brings_is_used_in_place_of_what_would_be_pulled(noted: Noted) -> None:
    kind.create(said, None, "here/node:1", "strimzi.yaml", build=False)
    assert " --image here/node:1 " in noted.commands[noted.first("kind create cluster")]
    assert noted.commands[-1] == "strimzi strimzi.yaml"
    assert not any("https://" in command or command.startswith("docker build") for command in noted.commands)


def test_what_the_images_are_built_from_is_there() -> None:
    assert all((kind.CONFIG.parents[1] / "images" / f"{name}.Dockerfile").exists() for name in kind.IMAGES.values())
    assert kind.CONFIG.exists()


def test_what_a_machine_lacks_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, disk = psutil.virtual_memory()._replace(available=2**30), shutil.disk_usage("/")._replace(free=2 * 2**30)

    def no_disk(_: str) -> object:
        return disk

    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(shutil, "disk_usage", no_disk)
    missing = kind.lacks(nothing)
    assert [line.split()[0] for line in missing] == ["docker", "kind", "1.0", "2.0"]
    assert all(": " in line for line in missing)


def test_a_command_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="git not-a-command: "):
        kind.run(["git", "not-a-command"])
    with pytest.raises(CommandError, match="No such file"):
        kind.run([str(tmp_path / "nothing")])
