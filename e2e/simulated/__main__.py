"""Many histories, one for each seed from `--seed` on: `python -m e2e.simulated --histories 200 --seed 1`.

Says what they were like and how fast it went. With `--check MODULE:FUNCTION`, which is given each history and returns
what is wrong with it, it stops at the first one that has anything wrong. A seed gives the same history everywhere: the
digest of the same ones is the same.
"""

import argparse
import gc
import hashlib
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pkgutil import resolve_name
from typing import Any, get_args

import msgspec

from e2e.history import History
from e2e.simulated.drawn import draw
from e2e.simulated.run import simulate
from services.saga import Mode

ORDERS = 20


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if something was wrong."""
    given = _parse(arguments)
    logging.disable(logging.WARNING)  # services warn of what is poisoned on purpose
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as in the services
    check: Callable[[History], Sequence[object]] = resolve_name(given.check) if given.check else _nothing
    endings, faults, digest = Counter[str](), Counter[str](), hashlib.sha256()
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    for seed in range(given.seed, given.seed + given.histories):
        try:
            history = simulate(draw(random.Random(seed), given.mode, given.orders), seed)
        except Exception:
            print(f"error with --mode {given.mode} --orders {given.orders} --seed {seed}:")
            raise
        endings.update(_ending(end.status, end.reason) for end in history.statuses.values())
        faults.update(fault.kind for fault in history.faults)
        faults["poison"] += len(history.poisoned)
        digest.update(msgspec.msgpack.encode(history))
        violations = check(history)
        if violations:
            print(f"violations with --mode {given.mode} --orders {given.orders} --seed {seed}:")
            print("\n".join(f"  {violation}" for violation in violations))
            return 1
    took_s, took_cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    print(f"{given.histories} {given.mode} histories of {given.orders} orders, from seed {given.seed}")
    print(
        f"rate      {_a_minute(given.histories, took_s)} a minute; {_a_minute(given.histories, took_cpu_s)} by CPU time"
    )
    print(f"endings   {_listed(endings)}")
    print(f"faults    {_listed(faults)}")
    print(f"digest    {digest.hexdigest()}")
    if given.check:
        print(f"{given.check} found nothing wrong")
    return 0


def _parse(arguments: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m e2e.simulated", description=__doc__)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first one")
    parser.add_argument("--mode", choices=get_args(Mode), default="choreographed")
    parser.add_argument("--orders", type=int, default=ORDERS, help="in each")
    parser.add_argument("--check", default="", metavar="MODULE:FUNCTION")
    return parser.parse_args(arguments)


def _nothing(_: History) -> Sequence[object]:
    return ()


def _ending(status: str, reason: str) -> str:
    return reason or status


def _a_minute(number: int, seconds: float) -> str:
    return f"{number / seconds * 60:,.0f}"


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counted.most_common())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
