"""Walks every world that a small shop can come to, and stops at the first one that is wrong: `make explore`.

  python -m e2e.explored                                   one order of each kind, both modes, up to two crashes
  python -m e2e.explored --mode orchestrated --crashes 1   less of it
  python -m e2e.explored --what last-unit --seconds 300    two orders over the last piece, as far as 300 s reach
  python -m e2e.explored --what one-account --crashes 1    two orders of one account, with a crash anywhere

Says how many worlds and steps it saw, and whether these are all that there are. A world that is wrong is printed with
the shortest way to it, step by step. The exit code is 1 if one was, and 2 if worlds were left out that should have been
visited: of two orders, as far as the bound reaches is enough.
"""

import argparse
import gc
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

from e2e.explored.exploring import explore
from e2e.explored.search import Bound, Walk
from e2e.explored.situations import MODES, SITUATIONS

SECONDS = {"one-order": 3600.0, "last-unit": 300.0, "one-account": 300.0}
"""Of one walk at most: of one order all must be seen, of two what there is time for."""
WORLDS = 8_000_000
"""The same; a world takes some 250 bytes."""


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    given = _parse(arguments)
    modes = MODES if given.mode is None else (given.mode,)
    code = 0
    for name, situation in SITUATIONS[given.what].items():
        for mode in modes:
            crashes = situation.crashes if given.crashes is None else given.crashes
            print(f"{name}, {mode}, up to {crashes} crashes", flush=True)
            began_s = time.process_time()
            found = explore(situation, mode, crashes, Bound(given.worlds, given.seconds or SECONDS[given.what]), _tell)
            walked, took_s = found.walk, time.process_time() - began_s
            if sys.stderr.isatty():
                print(end="\r\033[K", file=sys.stderr)
            print(
                f"  {_seen(walked)}, {walked.ends:,} ends with {found.histories:,} histories; "
                f"{found.states:,} states of services, {found.runs:,} runs of the engine\n"
                f"  {took_s:.1f} s of CPU time, {walked.worlds / max(took_s, 0.001):,.0f} worlds a second"
            )
            if walked.wrong:
                print(_wrong(walked))
                return 1
            print(f"  nothing is wrong{'' if walked.whole else ' as far as this went: there are more'}", flush=True)
            if not walked.whole and given.what == "one-order":
                code = 2
    return code


def _seen(walked: Walk) -> str:
    return f"{walked.worlds:,} worlds, {walked.steps:,} steps, {walked.depth} deep"


def _wrong(walked: Walk) -> str:
    steps = [f"  {n:3}  {step}" for n, step in enumerate(walked.path, 1)]
    return "\n".join(["wrong, after these steps:", *steps, walked.wrong])


def _tell(walked: Walk) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"  ... {_seen(walked)}, {walked.took_s:.0f} s", end=end, file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.explored", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--what", choices=SITUATIONS, default="one-order")
    parser.add_argument("--mode", choices=MODES, help="both, if it is not said")
    parser.add_argument(
        "--crashes",
        type=int,
        metavar="N",
        help="at most; unless said: 2 with one order, 1 with two, 0 where one of them may be cancelled",
    )
    parser.add_argument("--seconds", type=float, help="of each walk at most: 3600 with one order, 300 with two")
    parser.add_argument("--worlds", type=int, default=WORLDS, help="of each walk at most (%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # services warn of each crash and each conflict
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    sys.exit(main(sys.argv[1:]))
