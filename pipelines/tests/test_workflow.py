"""GitHub's workflow: it is one, it calls what the module offers, and runs nothing that somebody types."""

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from sagaproof_pipelines import Sagaproof

from pipelines.tests.conftest import ROOT

WORKFLOW = ROOT / ".github/workflows/ci.yaml"
TYPED_BY_PEOPLE = re.compile(r"\$\{\{[^}]*\b(inputs|github\.(ref_name|head_ref|actor|event\.[a-z_.]+))\b[^}]*\}\}")


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """With the names of their jobs."""
    for name, job in yaml.safe_load(WORKFLOW.read_text())["jobs"].items():
        yield from ((name, step) for step in job["steps"])


def calls() -> dict[str, list[str]]:
    """Job -> the words of its `dagger call`, with variables instead of what the workflow puts into them."""
    return {job: shlex.split(step["with"]["call"]) for job, step in steps() if "call" in step.get("with", {})}


def test_it_is_a_workflow_by_githubs_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_lints_tests_proves_publishes_and_deploys_by_the_module() -> None:
    assert {job: words[0] for job, words in calls().items()} == {
        name: name for name in ("lint", "test", "publish", "deploy")
    } | {"e2e": "report"}


@pytest.mark.parametrize("job", ["publish", "deploy"])
def test_it_names_arguments_that_there_are(job: str) -> None:
    parameters = inspect.signature(getattr(Sagaproof, job)).parameters
    named = {word[2:].partition("=")[0] for word in calls()[job][1:]}
    assert named
    assert named <= {name.replace("_", "-") for name in parameters}


def test_nothing_that_somebody_types_is_pasted_into_a_command() -> None:
    """It comes through the environment, which the shell does not take for commands."""
    for job, step in steps():
        for text in (step.get("run", ""), step.get("with", {}).get("call", "")):
            assert not TYPED_BY_PEOPLE.search(text), f"{job}: {text}"


def test_the_engine_is_the_one_that_the_module_is_made_for() -> None:
    version = yaml.safe_load(WORKFLOW.read_text())["env"]["DAGGER"]
    assert f'"engineVersion": "v{version}"' in (ROOT / "dagger.json").read_text()


def test_only_what_has_passed_everything_is_published_and_only_a_person_deploys() -> None:
    jobs: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish", "deploy"}
    assert jobs["deploy"]["if"] == "github.event_name == 'workflow_dispatch'"
    assert jobs["deploy"]["environment"]
