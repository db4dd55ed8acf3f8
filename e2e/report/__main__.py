"""`python -m e2e.report HISTORY [ORDER]`: checks a history that was kept, or explains one of its orders."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from e2e.checks import check
from e2e.explain import explain
from e2e.history import History


def main(arguments: list[str]) -> int:
    """Exit code 1 if something is wrong with it."""
    file, *orders = arguments
    history = msgspec.json.decode(Path(file).read_bytes(), type=History)
    violations = check(history)
    for order_id in orders:
        print(explain(history, order_id))
    if not orders:
        print("\n".join(map(str, violations)) or "right")
    return 1 if violations else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
