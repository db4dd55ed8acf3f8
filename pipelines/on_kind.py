"""The end-to-end suite on a kind of its own, in a container that has nothing yet: what `dagger call e-2-e` runs.

Starts a Docker engine and then does, in this order, what anybody can type on a host that has one:

    sagaproof cluster create; sagaproof cluster up kind; sagaproof e2e --substrate kubernetes; sagaproof cluster delete

What came out is in reports/, failed or not; reports/verdict says `passed` or `failed: at what`. The exit code is always
0, so that the folder comes out too. The privileged container goes away, and with it all that was started in it.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

REPORTS = Path("reports")
ENGINE_WITHIN_S = 60
CGROUP_V1_DEVICES = Path("/sys/fs/cgroup/devices/devices.allow")
SAGAPROOF = ".venv/bin/sagaproof"
OPTIONS = ("preload", "node-image", "strimzi", "mode", "seed")
"""As those of `sagaproof cluster create` and `sagaproof e2e`."""


def start_engine() -> None:
    """A Docker engine in this container; SystemExit with the end of its log if it does not answer."""
    if CGROUP_V1_DEVICES.exists():
        CGROUP_V1_DEVICES.write_text("a")
    REPORTS.mkdir(exist_ok=True)
    log = REPORTS / "dockerd.log"
    with log.open("wb") as out:
        engine = subprocess.Popen(["dockerd"], stdout=out, stderr=out)
    deadline = time.monotonic() + ENGINE_WITHIN_S
    while subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        if engine.poll() is not None or time.monotonic() > deadline:
            sys.exit("the Docker engine did not start:\n" + "\n".join(log.read_text().splitlines()[-20:]))
        time.sleep(0.2)  # between two looks at a condition


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in OPTIONS:
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args(arguments)


def steps(asked: argparse.Namespace) -> list[list[str]]:
    """What is run, one after the other."""
    given = {name: getattr(asked, name.replace("-", "_")) for name in OPTIONS}

    def passed_on(*names: str) -> list[str]:
        return [part for name in names if given[name] for part in (f"--{name}", given[name])]

    return [
        [SAGAPROOF, "cluster", "create", *passed_on("preload", "node-image", "strimzi")],
        [SAGAPROOF, "cluster", "up", "kind"],
        [SAGAPROOF, "e2e", "--substrate", "kubernetes", "--report-dir", str(REPORTS), *passed_on("mode", "seed")],
    ]


def main(arguments: list[str]) -> int:
    asked = parsed(arguments)
    start_engine()
    verdict = "passed"
    for step in steps(asked):
        print("+", " ".join(step), flush=True)
        if subprocess.run(step, check=False).returncode:
            verdict = "failed: " + " ".join(step)
            subprocess.run([SAGAPROOF, "cluster", "logs", str(REPORTS / "kind")], check=False)
            break
    (REPORTS / "verdict").write_text(verdict + "\n")
    print(verdict, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
