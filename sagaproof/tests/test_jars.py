"""Kafka's jars: what is pinned, and that nothing else gets in."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import jgo.maven
import pytest

from sagaproof import jars
from sagaproof.jars import Jar, JarError

CONTENT = b"a jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Registry:
    """A registry of jars in place of jgo's: `answers` gives the bytes, or raises."""

    def __init__(self, answers: Callable[[], bytes]) -> None:
        self.answers, self.asked = answers, 0

    def __call__(self, *, repo_cache: Path, timeout: int) -> "Registry":
        assert timeout
        self.cache = repo_cache
        return self

    def project(self, group: str, artifact: str) -> "Registry":
        assert (group, artifact) == (JAR.group, JAR.artifact)
        return self

    def at_version(self, version: str) -> "Registry":
        assert version == JAR.version
        return self

    def artifact(self) -> "Registry":
        return self

    def resolve(self) -> Path:
        self.asked += 1
        self.cache.mkdir(parents=True)
        path = self.cache / JAR.filename
        path.write_bytes(self.answers())
        return path


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bytes]], Registry]:
    def started(answers: Callable[[], bytes]) -> Registry:
        registry = Registry(answers)
        monkeypatch.setattr(jgo.maven, "MavenContext", registry)
        monkeypatch.setattr(jars, "pinned", lambda: [JAR])
        return registry

    return started


def test_the_pinned_list_is_whole() -> None:
    pinned = jars.pinned()
    assert len({jar.filename for jar in pinned}) == len(pinned)
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in pinned)
    kafka = [jar for jar in pinned if jar.group == "org.apache.kafka"]
    assert {jar.version for jar in kafka} == {jars.KAFKA_VERSION}


def test_a_jar_that_matches_is_put_in_place(serve: Callable[..., Registry], tmp_path: Path) -> None:
    serve(lambda: CONTENT)
    heard = list[Jar]()
    jars.fetch(tmp_path, heard.append)
    assert heard == [JAR]
    assert (jars.folder(tmp_path) / "thing-1.0.jar").read_bytes() == CONTENT
    assert jars.missing(tmp_path) == []


def test_one_that_does_not_match_never_gets_there(serve: Callable[..., Registry], tmp_path: Path) -> None:
    registry = serve(lambda: b"A JAR")
    with pytest.raises(JarError, match=r"thing-1\.0\.jar does not match its pinned SHA-256"):
        jars.fetch(tmp_path)
    assert registry.asked == jars.ATTEMPTS
    assert jars.missing(tmp_path) == [JAR]
    assert list(jars.folder(tmp_path).iterdir()) == []
    assert not list((tmp_path / "kafka").glob(".download-*"))


def test_a_failed_download_is_tried_again_and_then_said(serve: Callable[..., Registry], tmp_path: Path) -> None:
    def fails() -> bytes:
        raise RuntimeError("not found")

    registry = serve(fails)
    with pytest.raises(JarError, match=r"org\.example:thing:1\.0 could not be downloaded"):
        jars.fetch(tmp_path)
    assert registry.asked == jars.ATTEMPTS


def test_one_that_was_cut_off_is_fetched_again(serve: Callable[..., Registry], tmp_path: Path) -> None:
    serve(lambda: CONTENT)
    jars.fetch(tmp_path)
    (jars.folder(tmp_path) / JAR.filename).write_bytes(CONTENT[:2])
    assert jars.missing(tmp_path) == [JAR]
    jars.fetch(tmp_path)
    assert jars.missing(tmp_path) == []


def test_what_is_there_is_not_fetched_again(serve: Callable[..., Registry], tmp_path: Path) -> None:
    registry = serve(lambda: CONTENT)
    jars.fetch(tmp_path)
    jars.fetch(tmp_path)
    assert registry.asked == 1
