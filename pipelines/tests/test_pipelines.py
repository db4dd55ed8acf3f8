"""What each function asks of Dagger's engine, held to rules: recorded with the real client, and not run.

This shows that the module loads and what it would do. It does not show that the engine does it.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from dagger import dag
from sagaproof_pipelines import Sagaproof
from sagaproof_pipelines.main import NOT_SOURCE
from sagaproof_pipelines.workshop import PIP_CACHE, RUN_ID, FailedError

from pipelines.tests.conftest import ROOT
from pipelines.tests.recorder import Call, Chain, Engine, every_call, named

Function = Callable[[Sagaproof], Awaitable[Any]]


async def _publish(module: Sagaproof) -> str:
    return await module.publish("registry.example/shop", "1.2", "somebody", dag.set_secret("password", "hidden"))


async def _deploy_to_eks(module: Sagaproof) -> str:
    key_id, key, token = (dag.set_secret(name, "hidden") for name in ("id", "key", "token"))
    return await module.deploy("eks", None, "shop", "eu-central-1", key_id, key, token)


async def _report(module: Sagaproof) -> object:
    return await (await module.report()).id()


async def _render(module: Sagaproof) -> object:
    return await (await module.render()).id()


RUNS: dict[str, Function] = {
    "lint": lambda module: module.lint(),
    "test": lambda module: module.test(),
    "e2e": lambda module: module.e2e(),
    "report": _report,
    "bench": lambda module: module.bench(["--postgres"]),
    "render": _render,
    "check_parity": lambda module: module.check_parity(),
    "deploy": lambda module: module.deploy(kubeconfig=dag.set_secret("kubeconfig", "hidden")),
}
"""Functions that run a command of the project."""
ALWAYS_RUN = {"test", "publish", "e2e", "report", "bench", "deploy"}
"""Those whose result of yesterday is no result."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(contents="passed\n", plaintext="hidden\n").install(monkeypatch)


def asked(engine: Engine, function: Function) -> list[Chain]:
    async def call() -> None:
        await function(Sagaproof(source=dag.directory()))

    asyncio.run(call())
    return engine.asked


def executed(chains: list[Chain]) -> list[Call]:
    """Every exec that carries out a command of the project, with the container that it is in: one for each chain."""
    return [
        call for chain in chains for call in named(chain, "withExec") if "pipelines/" in str(call.arguments["args"])
    ]


def test_all_types_load_and_every_function_and_argument_says_what_it_is_for(engine: Engine) -> None:
    asyncio.run(module_of(Sagaproof)._typedefs())
    registered = engine.asked[-1]
    functions = {call.arguments["name"] for call in named(registered, "function")} - {""}
    assert functions == {*RUNS, "services", "gateway", "build", "publish"}
    described = [call for call in every_call(registered) if call.name in ("withArg", "withFunction")]
    assert all(call.arguments.get("description") for call in described if call.name == "withArg")
    assert len(named(registered, "withDescription")) > len(functions)


def module_of(main: Any) -> Any:
    """The SDK's own view of the module."""
    return main.__dagger_module__


@pytest.mark.parametrize("name", [*RUNS, "publish"])
def test_what_has_to_be_a_run_is_not_answered_from_a_cache(name: str) -> None:
    function: Any = getattr(Sagaproof, name)
    assert (function.__dagger_function__.cache == "never") == (name in ALWAYS_RUN)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_an_id_of_its_own_which_is_the_last_thing_before_it(engine: Engine, name: str) -> None:
    ids: set[str] = set()
    for _ in range(2):
        engine.asked.clear()
        for chain in asked(engine, RUNS[name]):
            for place, call in enumerate(chain):
                if call.name == "withExec" and "pipelines/" in str(call.arguments["args"]):
                    assert chain[place - 1].name == "withEnvVariable"
                    assert chain[place - 1].arguments["name"] == RUN_ID
                    ids.add(chain[place - 1].arguments["value"])
    assert len(ids) == 2, "one for each of the two calls, however much is asked of it"


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_after_a_failure_and_none_of_its_codes_is_one_that_the_engine_takes_for_its_own(
    engine: Engine, name: str
) -> None:
    runs = executed(asked(engine, RUNS[name]))
    assert runs
    for run in runs:
        assert run.arguments["expect"] == "ANY"
        assert run.arguments["args"][:2] == ["python3", "pipelines/run.py"]


@pytest.mark.parametrize("name", RUNS)
def test_only_what_starts_a_docker_engine_is_privileged(engine: Engine, name: str) -> None:
    chains = asked(engine, RUNS[name])
    privileged = [
        call for chain in chains for call in named(chain, "withExec") if call.arguments.get("insecureRootCapabilities")
    ]
    assert {" ".join(call.arguments["args"]) for call in privileged} == (
        {"python3 pipelines/run.py python3 pipelines/on_kind.py"} if name in ("e2e", "report") else set()
    )


@pytest.mark.parametrize("name", RUNS)
def test_packages_come_through_caches_that_are_there_before_set_up(engine: Engine, name: str) -> None:
    for chain in asked(engine, RUNS[name]):
        calls = [call.name if call.name != "withExec" else " ".join(call.arguments["args"]) for call in chain]
        if "make setup-dev" in calls:
            before = chain[: calls.index("make setup-dev")]
            mounted = {call.arguments["path"] for call in before if call.name == "withMountedCache"}
            assert {PIP_CACHE, "/var/lib/sagaproof/kafka"} <= mounted


def test_no_secret_is_seen_but_where_it_is_used(engine: Engine) -> None:
    for function in (RUNS["deploy"], _deploy_to_eks, _publish):
        for chain in asked(engine, function):
            for call in chain:
                if call.name != "setSecret":
                    assert "hidden" not in str({k: v for k, v in call.arguments.items() if not isinstance(v, tuple)})
    [mounted] = {call.arguments["path"] for chain in engine.asked for call in named(chain, "withMountedSecret")}
    named_so = {call.arguments["value"] for chain in engine.asked for call in named(chain, "withEnvVariable")}
    assert mounted in named_so, "kubectl is told where it is"
    variables = {call.arguments["name"] for chain in engine.asked for call in named(chain, "withSecretVariable")}
    assert variables == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


def test_a_cluster_of_eks_is_named_with_its_region(engine: Engine) -> None:
    [arguments] = {tuple(run.arguments["args"]) for run in executed(asked(engine, _deploy_to_eks))}
    assert arguments[2:] == (
        *(".venv/bin/sagaproof", "cluster", "up", "eks", "--timeout", "600"),
        *("--eks", "shop", "--region", "eu-central-1"),
    )


def test_a_deployment_takes_published_images_and_may_be_dry_or_without_a_way_back(engine: Engine) -> None:
    images = [f"{name}=registry.example/{name}@sha256:1" for name in ("services", "gateway")]

    def with_all(module: Sagaproof) -> Awaitable[str]:
        kubeconfig = dag.set_secret("kubeconfig", "hidden")
        return module.deploy(
            "plain", kubeconfig, images=images, dry_run=True, rollback=False, check=False, timeout_s=60
        )

    [words] = {tuple(run.arguments["args"]) for run in executed(asked(engine, with_all))}
    assert words[2:] == (
        *(".venv/bin/sagaproof", "cluster", "up", "plain", "--timeout", "60"),
        *("--image", images[0], "--image", images[1], "--dry-run", "--no-rollback", "--no-check"),
    )
    help_text = _help("cluster", "up")
    for option in (word for word in words if word.startswith("--")):
        assert option in help_text


def test_a_deployment_that_says_neither_how_to_reach_its_cluster_nor_who_asks_is_refused(engine: Engine) -> None:
    with pytest.raises(FailedError, match="kubeconfig, or eks"):
        asked(engine, lambda module: module.deploy("eks", None, "shop", "eu-central-1"))
    assert not executed(engine.asked)


def test_the_newline_at_the_end_of_a_password_file_is_no_part_of_the_password(engine: Engine) -> None:
    asked(engine, _publish)
    secrets = [call.arguments["secret"] for chain in engine.asked for call in named(chain, "withRegistryAuth")]
    assert secrets
    assert all(secret[-1] == Call("setSecret", {"name": "registry", "plaintext": "hidden"}) for secret in secrets)


def test_both_images_are_published_and_named_by_digest(engine: Engine) -> None:
    published = [chain[-1] for chain in asked(engine, _publish) if chain[-1].name == "publish"]
    assert [call.arguments["address"] for call in published] == [
        "registry.example/shop/services:1.2",
        "registry.example/shop/gateway:1.2",
    ]


def test_a_user_name_without_a_password_is_refused() -> None:
    with pytest.raises(FailedError, match="go together"):
        asyncio.run(Sagaproof(source=dag.directory()).publish("registry.example/shop", "1", "somebody"))


def test_archives_that_share_layers_have_one_compression(engine: Engine) -> None:
    async def build(module: Sagaproof) -> object:
        return await module.build().id()

    tarballs = [call for chain in asked(engine, build)[-1:] for call in named(chain, "asTarball")]
    assert len(tarballs) == 2
    assert {call.arguments["forcedCompression"] for call in tarballs} == {"Gzip"}


def test_every_image_is_built_from_a_file_that_is_there(engine: Engine) -> None:
    chains = asked(engine, _publish)
    files = {call.arguments["dockerfile"] for chain in chains for call in named(chain, "dockerBuild")}
    assert files == {"images/services.Dockerfile", "images/gateway.Dockerfile"}
    assert all((ROOT / file).exists() for file in files)


def test_a_command_that_fails_is_an_error_after_its_last_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(exitCode=1, combinedOutput="what was wrong").install(monkeypatch)
    with pytest.raises(FailedError, match="lint failed"):
        asked(engine, RUNS["lint"])
    assert "what was wrong" in capsys.readouterr().out


def test_a_suite_that_fails_is_an_exit_code_of_e2e_and_still_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(contents="failed: sagaproof e2e\n").install(monkeypatch)
    with pytest.raises(FailedError, match="sagaproof e2e"):
        asked(engine, RUNS["e2e"])
    engine.asked.clear()
    last = asked(engine, _report)[-1]
    assert last[-2] == Call("directory", {"path": "/src/reports"})
    assert len({str(call) for call in named(last, "withEnvVariable") if call.arguments["name"] == RUN_ID}) == 1


def test_what_is_brought_along_is_mounted_and_named(engine: Engine) -> None:
    def with_all(module: Sagaproof) -> Awaitable[str]:
        brought = dag.directory()
        return module.e2e("orchestrated", "7", brought, "here/node:1", brought.file("strimzi.yaml"))

    [arguments] = {tuple(run.arguments["args"]) for run in executed(asked(engine, with_all))}
    said = " ".join(arguments)
    for option in ("--mode orchestrated", "--seed 7", "--node-image here/node:1", "--preload /preload", "--strimzi /"):
        assert option in said
    assert {"/preload"} == {call.arguments["path"] for c in engine.asked for call in named(c, "withMountedDirectory")}


def test_what_git_does_not_hold_is_not_uploaded() -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    folders = {line.strip("/") for line in ignored if line.endswith("/")}
    covered = {entry.removeprefix("**/") for entry in NOT_SOURCE}
    assert folders - covered == set()


@pytest.mark.parametrize("step", ["create", "up", "e2e"])
def test_what_is_run_in_the_container_is_a_command_with_these_options(step: str) -> None:
    sys.path.insert(0, str(ROOT / "pipelines"))
    try:
        import on_kind  # noqa: PLC0415  a script, not a part of a package
    finally:
        sys.path.pop(0)
    every = on_kind.steps(on_kind.parsed([f"--{name}=x" for name in on_kind.OPTIONS]))
    [words] = [words for words in every if step in words]
    command = [word for word in words[1:] if not word.startswith("-")][: 1 if step == "e2e" else 2]
    help_text = _help(*command)
    for option in (word for word in words if word.startswith("--")):
        assert option in help_text


def _help(*command: str) -> str:
    words = [sys.executable, "-m", "sagaproof", *command, "--help"]
    wide = {**os.environ, "COLUMNS": "200"}  # no option is cut off
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT, env=wide).stdout


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("false", 1), ("kill -9 $$", 1), ("exit 137", 1)])
def test_a_command_that_is_killed_has_the_exit_code_of_one_that_failed(command: str, code: int) -> None:
    run = [sys.executable, ROOT / "pipelines/run.py", "sh", "-c", command]
    assert subprocess.run(run, check=False, capture_output=True).returncode == code


def test_the_module_is_told_how_its_engine_wants_it() -> None:
    module = json.loads((ROOT / "dagger.json").read_text())
    project = (ROOT / module["source"] / "pyproject.toml").read_text()
    assert module["engineVersion"] == "v0.21.8"
    assert re.search(r'^requires-python = ">=3\.13"$', project, re.MULTILINE)
    assert 'dependencies = ["dagger-io"]' in project
    assert Sagaproof.__name__.lower() == module["name"]


def test_no_name_but_e2e_has_a_digit_as_the_command_line_splits_there() -> None:
    names = [name for name in vars(Sagaproof) if not name.startswith("_")]
    assert [name for name in names if re.search(r"\d", name)] == ["e2e"]


@pytest.mark.skipif(shutil.which("dagger") is None, reason="needs Dagger's command")
def test_the_command_line_still_spells_e2e_with_dashes() -> None:
    """When it fails, `dagger call e2e` has come to work: say so in the README and in docs/dagger.md."""
    said = subprocess.run(["dagger", "call", "e2e", "--help"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert said.returncode
