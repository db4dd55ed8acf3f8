"""A cluster by kind: what is done in which order. The commands are noted, not run: there is no node image here."""

from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from sagaproof import kind
from sagaproof.errors import CommandError


class Noted:
    """Takes the place of running a command."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str | Path]) -> None:
        self.commands.append(" ".join(map(str, command)))

    def first(self, beginning: str) -> int:
        return next(n for n, command in enumerate(self.commands) if command.startswith(beginning))


def test_archives_are_loaded_before_anything_is_built_or_pulled(tmp_path: Path) -> None:
    for name in ("node.tar", "kafka.tar.gz", "notes.txt"):
        (tmp_path / name).touch()
    noted = Noted()
    kind.create(preload=tmp_path, run=noted)
    loads = [command for command in noted.commands if command.startswith("docker load")]
    assert [Path(command.split()[-1]).name for command in loads] == ["kafka.tar.gz", "node.tar"]
    assert noted.commands[: len(loads)] == loads
    assert noted.first("docker build") < noted.first("kind create cluster")
    inside = [command for command in noted.commands if command.startswith("kind load image-archive")]
    assert len(inside) == len(loads)


def test_the_operator_is_there_before_the_shop_is_deployed() -> None:
    noted = Noted()
    kind.create(run=noted)
    assert noted.first("kind load docker-image") < noted.first("kubectl create --namespace")
    assert noted.commands[-1].startswith("kubectl --namespace sagaproof rollout status deployment/strimzi-cluster-oper")


def test_what_an_air_gapped_place_brings_is_used_in_place_of_what_would_be_pulled() -> None:
    noted = Noted()
    kind.create(node_image="here/node:1", strimzi="strimzi.yaml", build=False, run=noted)
    assert " --image here/node:1 " in noted.commands[noted.first("kind create cluster")]
    assert noted.commands[noted.first("kubectl create --namespace")].endswith("--filename strimzi.yaml")
    assert not any("https://" in command or command.startswith("docker build") for command in noted.commands)


def test_what_the_images_are_built_from_is_there() -> None:
    assert all((kind.ROOT / "images" / f"{name}.Dockerfile").exists() for name in kind.IMAGES.values())
    assert kind.CONFIG.exists()


def test_what_a_machine_lacks_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: found._replace(available=2**30))
    said = kind.lacks(lambda _name: None)
    assert [line.split()[0] for line in said[:3]] == ["docker", "kind", "kubectl"]
    assert any(line.startswith("1.0 GB of memory") for line in said)
    assert all(": " in line for line in said)


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"`git not-a-command \.\.\.` ended with exit code"):
        kind.run(["git", "not-a-command"])
    with pytest.raises(CommandError, match="No such file"):
        kind.run([tmp_path / "nothing"])
