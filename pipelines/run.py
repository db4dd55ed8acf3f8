"""Runs a command for a pipeline: `python3 pipelines/run.py COMMAND...`; its exit code is 0 or 1 and nothing else.

A command that a signal killed has a code (128 and more) that Dagger takes for a fault of its own.
"""

import subprocess
import sys


def main(command: list[str]) -> int:
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 1
    if code < 0:
        print(f"{command[0]} was ended by signal {-code}", file=sys.stderr)
    elif code:
        print(f"{command[0]} ended with exit code {code}", file=sys.stderr)
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
