"""Kafka's jars: exactly those of `kafka-jars.txt`, each checked against its SHA-256, in `<home>/kafka/<version>/libs`.

`missing` is cheap (names and sizes) and needs only the standard library. `fetch` downloads by jgo, one artifact at a
time by its coordinate: jgo's own dependency resolution picks a wrong kafka-clients. A jar is moved to its place only
after its bytes have been checked, so an interrupted fetch leaves nothing that a later run could mistake for whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

KAFKA_VERSION = "4.3.1"
LIST = Path(__file__).with_name("kafka-jars.txt")
PARALLEL_DOWNLOADS = 4
ATTEMPTS = 3
HTTP_TIMEOUT_S = 60


class JarError(RuntimeError):
    """A jar could not be had; the message says which and what to do."""


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def pinned() -> list[Jar]:
    """The list in the repository."""
    rows = [line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(*coordinate.split(":"), sha256=sha256, size=int(size)) for coordinate, sha256, size in rows]


def folder(home: Path) -> Path:
    return home / "kafka" / KAFKA_VERSION / "libs"


def classpath(home: Path) -> str:
    return ":".join(str(folder(home) / jar.filename) for jar in pinned())


def missing(home: Path) -> list[Jar]:
    """The pinned jars that are not in place, by name and size: the SHA-256 was checked before they got there."""
    here = folder(home)
    sizes = {entry.name: entry.stat().st_size for entry in here.iterdir()} if here.is_dir() else {}
    return [jar for jar in pinned() if sizes.get(jar.filename) != jar.size]


def fetch(home: Path, on_jar: Callable[[Jar], None] = lambda _jar: None) -> None:
    """Download what is missing; safe to call from several processes at once. Raises JarError."""
    root = home / "kafka"
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in root.glob(".download-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        todo = missing(home)
        if not todo:
            return
        folder(home).mkdir(parents=True, exist_ok=True)
        download = Path(tempfile.mkdtemp(prefix=".download-", dir=root))
        try:
            _fetch_all(todo, download, folder(home), on_jar)
        finally:
            shutil.rmtree(download, ignore_errors=True)


def _fetch_all(todo: Sequence[Jar], download: Path, target: Path, on_jar: Callable[[Jar], None]) -> None:
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        work = [pool.submit(_fetch_one, jar, download, target) for jar in todo]
        try:
            for jar, future in zip(todo, work, strict=True):
                future.result()
                on_jar(jar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(jar: Jar, download: Path, target: Path) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415  a run-time package: not there before set-up has installed it
    from requests import RequestException  # noqa: PLC0415

    cause: Exception | None = None
    for attempt in range(ATTEMPTS):
        context = MavenContext(repo_cache=download / str(attempt), timeout=HTTP_TIMEOUT_S)
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        try:
            path = artifact.resolve()
        except (RequestException, RuntimeError) as error:
            cause = error
            continue
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found == jar.sha256:
            path.replace(target / jar.filename)
            return
        cause = JarError(
            f"{jar.filename} does not match its pinned SHA-256 (got {found[:16]}..., want {jar.sha256[:16]}...). "
            f"It was thrown away. Is there a proxy or mirror that changes files?"
        )
    if isinstance(cause, JarError):
        raise cause
    raise JarError(
        f"{jar.group}:{jar.artifact}:{jar.version} could not be downloaded ({type(cause).__name__}). Check the "
        f"network (HTTPS_PROXY is honoured) and run this again: it goes on where it stopped"
    ) from cause


def main(home: str) -> int:
    """For set-up, in a process of the venv: print the size of each jar that has come in; an error is one line."""
    import sys  # noqa: PLC0415

    try:
        fetch(Path(home), on_jar=lambda jar: print(jar.size, flush=True))
    except JarError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
