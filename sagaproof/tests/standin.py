"""A process for the launcher's tests: answers `GET /ready` on a port, and writes to a journal when it starts and ends.

    python standin.py NAME PORT JOURNAL [ready|never-ready|dies|deaf]

`never-ready` says 503; `dies` ends at once with code 3; `deaf` ignores SIGTERM.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


def main(name: str, port: str, journal: str, manner: str = "ready") -> None:
    def note(what: str) -> None:
        with open(journal, "a") as file:  # noqa: PTH123  no imports beyond need: it is started dozens of times
            file.write(f"{what} {name} {os.getpid()}\n")

    def end(_number: int, _frame: Any) -> None:
        note("ended")
        os._exit(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if manner == "never-ready" else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    signal.signal(signal.SIGTERM, signal.SIG_IGN if manner == "deaf" else end)
    note("started")
    if manner == "dies":
        print(f"{name} cannot go on")
        sys.exit(3)
    HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
