"""Containers in which the project's own commands run: what they start from, what is kept between runs, what is not.

Everything that a pipeline does is a command that anybody can type in a checkout (`make lint`, `sagaproof cluster up`).
A run that has to be a run gets an id into its environment as the last thing before it, since a plain exec is cached by
what it was given.
"""

from uuid import uuid4

import dagger
from dagger import dag

SOURCE = "/src"
REPORTS = f"{SOURCE}/reports"
STATE = "/var/lib/sagaproof"
"""SAGAPROOF_HOME: Kafka's jars are kept from run to run, data and logs are not."""
PIP_CACHE = "/var/cache/pip"
PACKAGES = ["ca-certificates", "git", "make"]
DOCKER_PACKAGES = ["docker.io", "iptables", "procps"]
RUN_ID = "SAGAPROOF_RUN_ID"
OUTPUT_LINES = 200
"""Of a command that failed: so many of its last lines are its error."""


class FailedError(Exception):
    """A command of a pipeline did not end well. The message has its name; its output has been printed before."""


def debian(image: str, packages: list[str]) -> dagger.Container:
    """A container of Debian's Python with these packages of Debian."""
    return (
        dag.container()
        .from_(image)
        .with_mounted_cache("/var/cache/apt", dag.cache_volume("sagaproof-apt"))
        .with_exec(["apt-get", "update", "-qq"])
        .with_exec(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages])
    )


def checkout(container: dagger.Container, source: dagger.Directory) -> dagger.Container:
    """With the project in it, set up as `make setup-dev` does; packages come through a cache."""
    return (
        container.with_mounted_cache(PIP_CACHE, dag.cache_volume("sagaproof-pip"))
        .with_env_variable("PIP_CACHE_DIR", PIP_CACHE)
        .with_mounted_cache(f"{STATE}/kafka", dag.cache_volume("sagaproof-kafka"))
        .with_env_variable("SAGAPROOF_HOME", STATE)
        .with_directory(SOURCE, source)
        .with_workdir(SOURCE)
        .with_exec(["make", "setup-dev"])
    )


def run(container: dagger.Container, command: list[str], *, privileged: bool = False) -> dagger.Container:
    """One command that is run now, whatever was run before, and whose failure is an exit code and no exception."""
    return container.with_env_variable(RUN_ID, str(uuid4())).with_exec(
        ["python3", "pipelines/run.py", *command],
        expect=dagger.ReturnType.ANY,
        insecure_root_capabilities=privileged,
    )


async def verdict(done: dagger.Container, what: str) -> str:
    """What it printed. Raises FailedError, after its last lines are printed, if it did not end well."""
    output = await done.combined_output()
    if await done.exit_code():
        print("\n".join(output.splitlines()[-OUTPUT_LINES:]))
        raise FailedError(f"{what} failed: its last {OUTPUT_LINES} lines are above")
    return output
