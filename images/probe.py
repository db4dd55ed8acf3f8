"""The images' health check: `python -IS probe.py VARIABLE` is 0 if `/ready` answers 200 on the port that it names.

It runs every few seconds in every container, so it imports next to nothing.
"""

import os
import socket
import sys

HOST = "127.0.0.1"
WITHIN_S = 3.0


def main(port: str) -> int:
    """Gives the exit code; what the answer was is printed for `docker inspect`."""
    try:
        with socket.create_connection((HOST, int(port)), WITHIN_S) as connection:
            connection.sendall(f"GET /ready HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
            answer = connection.makefile("rb").read(4096)
    except (OSError, ValueError) as error:
        print(error)
        return 1
    print(answer.decode(errors="replace"))
    return 0 if answer.split(maxsplit=2)[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main(os.environ.get(sys.argv[1], "")))
