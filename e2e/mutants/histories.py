"""Simulates histories until one is wrong, and prints what was found as JSON. Is run inside a mutant's copy."""

import gc
import logging
import random
import sys
from collections.abc import Sequence
from typing import cast

import msgspec

from e2e.checks import check
from e2e.simulated.drawn import draw
from e2e.simulated.run import DoesNotEnd, simulate
from services.saga import Mode

ORDERS = 20
FIRST_SEED = 1


class Finding(msgspec.Struct, frozen=True):
    """The first history that was wrong.

    seed:  of it; None if none was
    found: names of the checks that found something in it, each once
    said:  the first thing that was found
    """

    seed: int | None = None
    found: Sequence[str] = ()
    said: str = ""


def look(mode: Mode, histories: int) -> Finding:
    """A shop that never comes to rest has orders that do not end: that counts as found by ends-once.

    An error that ends a service is none of the checks' findings, and is said.
    """
    for seed in range(FIRST_SEED, FIRST_SEED + histories):
        try:
            violations = check(simulate(draw(random.Random(seed), mode, ORDERS), seed))
        except DoesNotEnd as error:
            return Finding(seed, ["ends-once"], f"it does not come to rest {error}")
        except Exception as error:  # noqa: BLE001 whatever the mutant has led to
            return Finding(seed, [], f"{type(error).__name__}: {error}")
        if violations:
            return Finding(seed, list(dict.fromkeys(each.check for each in violations)), str(violations[0]))
    return Finding(said=f"nothing was found in {histories} histories")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # a mutant has much to complain of
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as in the services
    print(msgspec.json.encode(look(cast("Mode", sys.argv[1]), int(sys.argv[2]))).decode())
