"""One mutant, simulated until something is found, in a process of its own that imports the copy alone."""

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


def attempt(mutant: Mutant, mode: Mode) -> Trial:
    """Plants the mutant and simulates: one history after the other, until one is wrong or there were enough."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sagaproof-mutant-") as folder:
        try:
            plant(mutant, Path(folder))
            finding = _simulate(mutant, mode, folder)
        except (Misplaced, subprocess.TimeoutExpired) as error:
            finding = Finding(said=f"{type(error).__name__}: {error}")
    return Trial(mutant, mode, finding, time.monotonic() - began_s)


def _simulate(mutant: Mutant, mode: Mode, folder: str) -> Finding:
    run = subprocess.run(
        [sys.executable, "-m", "e2e.mutants.histories", mode, str(mutant.histories)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((folder, f"{folder}/gen"))},
        capture_output=True,
        text=True,
        timeout=TRIAL_S_MAX,
        check=False,
    )
    if run.returncode:
        return Finding(said=(run.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return msgspec.json.decode(run.stdout, type=Finding)
