"""A small HTTP server in the gateway's place, whose answers a test holds back: to see what the generator does then."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

HELD_MAX_S = 30.0


class Seen:
    """What has come in. `may_answer` is asked for each order, under the lock, until it says yes."""

    def __init__(self, may_answer: Callable[[Seen], bool]) -> None:
        self.bodies: list[dict[str, object]] = []
        self.in_flight = 0
        self.in_flight_max = 0
        self.changed = threading.Condition()
        self.may_answer = may_answer


@contextmanager
def gateway(
    may_answer: Callable[[Seen], bool] = lambda _: True, status: Callable[[int], int] = lambda _: 202
) -> Generator[tuple[int, Seen]]:
    """Its port, and what it sees. `status` of the n-th order; 0 hangs up instead of answering."""
    seen = Seen(may_answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with seen.changed:
                seen.bodies.append(msgspec.json.decode(body))
                n = len(seen.bodies)
                seen.in_flight += 1
                seen.in_flight_max = max(seen.in_flight_max, seen.in_flight)
                seen.changed.notify_all()
                seen.changed.wait_for(lambda: seen.may_answer(seen), HELD_MAX_S)
                seen.in_flight -= 1
            if not (code := status(n)):
                self.close_connection = True
                return
            answer = msgspec.json.encode({"orderId": str(uuid.uuid4()), "status": "PENDING"})
            self.send_response(code)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, seen
        finally:
            server.shutdown()
            thread.join()
