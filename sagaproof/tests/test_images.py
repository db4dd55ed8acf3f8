"""The images, built for real where there is a Docker engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD_WITHIN_S = 900
IMAGES = ["services", "gateway"]
ASKED = '{"public": {}, "admin": {}, "rest_within_s": 0, "deadline_s": 30}'
CONFINED = ["--rm", "--read-only", "--cap-drop", "ALL", "--network", "none"]


def docker(*arguments: str, within_s: int = BUILD_WITHIN_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=within_s
    )


pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(4 * BUILD_WITHIN_S)]


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    try:
        there = docker("info", within_s=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        there = False
    if not there:
        pytest.skip("needs a Docker engine")


def build(image: str, *options: str) -> str:
    """Its id."""
    built = docker("build", "--quiet", "--file", f"images/{image}.Dockerfile", *options, ".")
    assert built.returncode == 0, built.stderr
    return built.stdout.strip()


def inspected(identity: str) -> dict[str, Any]:
    return json.loads(docker("image", "inspect", identity).stdout)[0]


@pytest.mark.parametrize("image", IMAGES)
def test_two_builds_from_nothing_give_the_same_layers(image: str) -> None:
    first, second = (inspected(build(image, "--no-cache"))["RootFS"]["Layers"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_nobody_and_says_what_it_is(image: str) -> None:
    config = inspected(build(image, "--build-arg", "VERSION=7", "--build-arg", "REVISION=abc"))["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"][0] == "python"  # and no shell before it, which would keep signals
    assert config["Healthcheck"]["Test"][0] == "CMD"
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert (labels["version"], labels["revision"], labels["licenses"]) == ("7", "abc", "Apache-2.0")


@pytest.mark.parametrize(
    ("image", "arguments", "says"),
    [
        *(("services", [f"services.{name}"], "wrong settings in the environment") for name in ("order", "status")),
        ("services", ["sagaproof.topics"], "wrong settings in the environment"),
        ("services", ["services.engine.migrate"], "cannot migrate"),
        ("services", ["e2e.live", ASKED], "wrong settings in the environment"),
        ("gateway", [], "gateway: PORT='none'"),
    ],
)
def test_what_an_image_runs_starts_where_nothing_can_be_written(image: str, arguments: list[str], says: str) -> None:
    """Without settings, or with a wrong one: it has read all of its code by then, and says so in a line."""
    ran = docker("run", *CONFINED, "--env", "PORT=none", build(image), *arguments)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert says in ran.stderr
