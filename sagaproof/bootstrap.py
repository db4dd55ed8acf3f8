"""The start of set-up: `python3 -I sagaproof/bootstrap.py run|dev|postgres` finds a Python that fits, and
set_up.py goes on with it.

It has to be read by whatever `python3` is (3.6 on some servers), so it is written in an old syntax and needs nothing.
A Python that is too old or too new is replaced by a fitting one if there is one on the PATH; that of a venv by the one
that the venv was made from, because the venv may be ours and about to be replaced.
"""

import os
import shutil
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)
MINORS = range(NEWEST[1], OLDEST[1] - 1, -1)


def fitting_python() -> str:
    """The interpreter to go on with: '' for this one. Ends the process with one line if there is none."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = [path for path in (shutil.which("python3." + str(minor)) for minor in MINORS) if path]
        if found:
            return found[0]
        sys.exit(
            "set-up stopped: this is Python {}.{}, and {}.{} to {}.{} is needed. Install one (package manager, pyenv, "
            "python.org), then: make PYTHON=/path/of/python3.13 ...".format(*sys.version_info[:2], *OLDEST, *NEWEST)
        )
    base = str(getattr(sys, "_base_executable", ""))
    return base if sys.prefix != sys.base_prefix and base and base != sys.executable else ""


def main() -> int:
    if sys.argv[1:] not in (["run"], ["dev"], ["postgres"]):
        sys.exit("usage: python3 -I sagaproof/bootstrap.py run|dev|postgres")
    python = fitting_python()
    if python:
        os.execv(python, [python, "-I", __file__, *sys.argv[1:]])
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from sagaproof import set_up  # noqa: PLC0415  its syntax is newer than this Python may be

    return set_up.main(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
