"""Many histories, one for each seed from `--seed` on: `python -m e2e.simulated --histories 200 --seed 1`.

Says what they were like and how fast it went, and stops at the first one in which the checks find anything. A seed
gives the same history everywhere: the digest of the same ones is the same.
"""

import argparse
import gc
import hashlib
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from e2e.checks import check
from e2e.explain import explain
from e2e.simulated.drawn import draw
from e2e.simulated.run import simulate
from services.saga import Mode

ORDERS = 20


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if something was wrong."""
    given = _parse(arguments)
    endings, faults, digest = Counter[str](), Counter[str](), hashlib.sha256()
    took_s, took_cpu_s, began_s = 0.0, 0.0, time.monotonic()
    for seed in range(given.seed, given.seed + given.histories):
        begins_s, begins_cpu_s = time.monotonic(), time.process_time()
        try:
            history = simulate(draw(random.Random(seed), given.mode, given.orders), seed)
        except Exception:
            print(f"error with --mode {given.mode} --orders {given.orders} --seed {seed}:")
            raise
        took_s += time.monotonic() - begins_s
        took_cpu_s += time.process_time() - begins_cpu_s
        endings.update(end.reason or end.status for end in history.statuses.values())
        faults.update(fault.kind for fault in history.faults)
        faults["poison"] += len(history.poisoned)
        digest.update(msgspec.msgpack.encode(history))
        violations = check(history)
        if violations:
            print(f"violations with --mode {given.mode} --orders {given.orders} --seed {seed}:")
            print("\n".join(f"  {violation}" for violation in violations))
            order_id = next((violation.order_id for violation in violations if violation.order_id), "")
            print(explain(history, order_id) if order_id else "")
            return 1
    many, checked_s = given.histories, time.monotonic() - began_s
    print(f"{many} {given.mode} histories of {given.orders} orders, from seed {given.seed}: nothing is wrong")
    print(
        f"a minute  {_rate(many, took_s)}; by CPU time {_rate(many, took_cpu_s)}; checked too {_rate(many, checked_s)}"
    )
    print(f"endings   {_listed(endings)}")
    print(f"faults    {_listed(faults)}")
    print(f"digest    {digest.hexdigest()}")
    return 0


def _parse(arguments: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m e2e.simulated", description=__doc__)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first one")
    parser.add_argument("--mode", choices=get_args(Mode), default="choreographed")
    parser.add_argument("--orders", type=int, default=ORDERS, help="in each")
    return parser.parse_args(arguments)


def _rate(number: int, seconds: float) -> str:
    return f"{number / seconds * 60:,.0f}"


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counted.most_common())


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # services warn of what is poisoned on purpose
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as in the services
    sys.exit(main(sys.argv[1:]))
