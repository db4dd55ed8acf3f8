"""Breaks the shop in many ways, one at a time, and shows which check finds each: `make mutants`.

  python -m e2e.mutants                   all of them: some minutes
  python -m e2e.mutants --list            what there is, and what must find it
  python -m e2e.mutants --only tombstone  those with this in their name, file or check, or in how they are tried
  python -m e2e.mutants --only replicas   for example those that are tried by two replicas on PostgreSQL

A mutant is caught if the check that is named for it is among those that find something wrong where anything is wrong
for the first time. Seeds and modes are the simulation's: `python -m e2e.simulated --help`. The exit code is 1 if one
was not caught.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from e2e.mutants import in_engine, in_postgres, in_services, in_undoing, in_worlds
from e2e.mutants.mutant import Mutant
from e2e.mutants.servers import Servers
from e2e.mutants.trial import Trial, attempt
from services.saga import Mode

MUTANTS: Sequence[Mutant] = (
    *in_engine.MUTANTS,
    *in_undoing.MUTANTS,
    *in_services.MUTANTS,
    *in_worlds.MUTANTS,
    *in_postgres.MUTANTS,
)
AT_ONCE_MAX = 2
"""Trials beside each other."""


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if a mutant was not caught."""
    parser = argparse.ArgumentParser(
        prog="python -m e2e.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="those with this in their name, file, check or way")
    parser.add_argument("--list", action="store_true", help="name them, and try none")
    parser.add_argument("--at-once", type=int, default=1, choices=range(1, AT_ONCE_MAX + 1), help="trials")
    given = parser.parse_args(arguments)
    mutants = [mutant for mutant in MUTANTS if given.only.lower() in _text(mutant).lower()]
    if not mutants:
        parser.error(f"no mutant has {given.only!r} in its name, file, check or way")
    if given.list:
        print("\n".join(f"{mutant.check:15} {mutant.name}  ({_files(mutant)})" for mutant in mutants))
        return 0
    return report(mutants, given.at_once)


def report(mutants: Sequence[Mutant], at_once: int = 1) -> int:
    """Tries them, with a line for each as it comes, and a table at the end. Returns the exit code."""
    began_s = time.monotonic()
    pairs: list[tuple[Mutant, Mode]] = [(mutant, mode) for mutant in mutants for mode in mutant.modes]
    trials: list[Trial] = []
    with Servers() as servers, ThreadPoolExecutor(at_once) as pool:
        pending = [pool.submit(attempt, mutant, mode, servers) for mutant, mode in pairs]
        for number, done in enumerate(as_completed(pending), 1):
            trial = done.result()
            trials.append(trial)
            print(f"{number:3}/{len(pairs)} {_line(trial)}", flush=True)
    missed = [trial for trial in trials if not trial.caught]
    print("\n" + _table(mutants, trials))
    for trial in missed:
        print(f"\nnot caught by {trial.mutant.check}: {trial.mutant.name} ({trial.mode})\n  {trial.finding.said}")
    caught = len(trials) - len(missed)
    print(f"\n{caught} of {len(trials)} trials of {len(mutants)} mutants caught in {time.monotonic() - began_s:.0f} s")
    return 1 if missed else 0


def _line(trial: Trial) -> str:
    finding, by = trial.finding, ", ".join(trial.finding.found)
    if trial.caught:
        ended = f"caught by {trial.mutant.check}"
    else:
        ended = f"NOT CAUGHT by {trial.mutant.check}" + (f", but by {by}" if by else "")
    where = "" if finding.seed is None else f", seed {finding.seed}"
    return f"{trial.mutant.name}: {ended} ({trial.mode}{where}, {trial.took_s:.1f} s)"


def _table(mutants: Sequence[Mutant], trials: Sequence[Trial]) -> str:
    """In the order of the mutants."""
    width = max(len(trial.mutant.name) for trial in trials)
    rows = [f"{'mutant':{width}}  {'must be found by':16}  {'mode':13}  seed  found by"]
    for mutant, mode, finding, _ in sorted(trials, key=lambda trial: mutants.index(trial.mutant)):
        seed, by = "-" if finding.seed is None else finding.seed, ", ".join(finding.found) or "-"
        rows.append(f"{mutant.name:{width}}  {mutant.check:16}  {mode:13}  {seed:>4}  {by}")
    return "\n".join(rows)


def _files(mutant: Mutant) -> str:
    return ", ".join(dict.fromkeys(edit.file for edit in mutant.edits))


def _text(mutant: Mutant) -> str:
    return f"{mutant.name} {mutant.check} {_files(mutant)} {mutant.tried}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
