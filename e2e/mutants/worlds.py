"""Walks every world of one order until one is wrong, and prints what was found as JSON. Is run in a mutant's copy."""

import logging
import sys
from typing import cast

import msgspec

from e2e.explored.exploring import explore
from e2e.explored.search import Bound
from e2e.explored.situations import SITUATIONS
from e2e.mutants.histories import Finding
from services.saga import Mode

CHECKS = ("standing", "stuck", "error")
CRASHES = 1


def look(mode: Mode) -> Finding:
    """In the first world that is wrong, what says so: a check, `standing`, or the `error` that ended a service."""
    worlds = 0
    for name, situation in SITUATIONS["one-order"].items():
        walked = explore(situation, mode, CRASHES, Bound()).walk
        worlds += walked.worlds
        if walked.wrong:
            found = dict.fromkeys(line.partition(":")[0] for line in walked.wrong.splitlines())
            way = "; ".join(walked.path)
            return Finding(None, list(found), f"{walked.wrong.splitlines()[0]} ({name}: {way})")
    return Finding(said=f"nothing was found in {worlds:,} worlds")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # a mutant has much to complain of
    print(msgspec.json.encode(look(cast("Mode", sys.argv[1]))).decode())
