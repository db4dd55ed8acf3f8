"""One mutant, tried until something is found, in a process of its own that imports the copy alone."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from e2e.mutants.histories import Finding
from e2e.mutants.mutant import Misplaced, Mutant, plant
from e2e.mutants.servers import Servers
from services.saga import Mode

TRIAL_S_MAX = 300
"""A trial is given up after so long."""


class Trial(NamedTuple):
    """What came of a mutant in one mode."""

    mutant: Mutant
    mode: Mode
    finding: Finding
    took_s: float

    @property
    def caught(self) -> bool:
        return self.mutant.check in self.finding.found


def attempt(mutant: Mutant, mode: Mode, servers: Servers) -> Trial:
    """Plants the mutant and tries it in its way, until something is wrong or there was enough."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sagaproof-mutant-") as folder:
        try:
            plant(mutant, Path(folder))
            finding = _try(mutant, mode, folder, servers)
        except (Misplaced, subprocess.TimeoutExpired) as error:
            finding = Finding(said=f"{type(error).__name__}: {error}")
    return Trial(mutant, mode, finding, time.monotonic() - began_s)


def _try(mutant: Mutant, mode: Mode, folder: str, servers: Servers) -> Finding:
    imported = os.pathsep.join((folder, f"{folder}/gen"))
    environment = {**os.environ, **servers.environment(mutant.tried), "PYTHONPATH": imported}
    run = subprocess.run(
        [sys.executable, "-m", f"e2e.mutants.{mutant.tried}", mode, str(mutant.histories)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TRIAL_S_MAX,
        check=False,
    )
    if run.returncode:
        return Finding(said=(run.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return msgspec.json.decode(run.stdout, type=Finding)
