"""The load generator: a process of its own, `python -m bench.load`, told by JSON on stdin what to do.

It places orders over kept HTTP connections and writes down when each was due, sent and answered, and its id. One
thread, one selector, requests made beforehand and a parser in C: some 20 us of CPU an order, so that it can share two
cores with the system that it measures. Its own CPU time is part of the result.

Closed loop: each connection sends its next order when the last one is answered. Open loop: orders are due at a constant
rate, whether or not the system keeps up; latency counts from when an order was due, so that a stall is not hidden by
the generator waiting as well (no coordinated omission).
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import socket
import sys
import time
from array import array
from collections import deque
from pathlib import Path

import httptools
import msgspec

from bench.baskets import DIFFERENT, draw, request

TELL_EVERY_S = 0.5
CONNECTIONS_MAX = 512
"""Of the open loop; more orders than this without an answer wait for a connection, and that is counted."""
ORDER_ID_LENGTH = 36
ACCEPTED = 202


class Spec(msgspec.Struct, frozen=True):
    """What to do: `rate` 0 is the closed loop; it ends after `seconds` or `orders`, what is first (0: no limit).

    When no order at all was answered for `answer_within_s`, it ends as well.
    """

    host: str
    port: int
    out: str
    connections: int
    users: int
    products: list[str]
    rate: float = 0.0
    seconds: float = 0.0
    orders: int = 0
    first: int = 0
    answer_within_s: float = 20.0


class Result(msgspec.Struct):
    """What came of it. Times are seconds since 1970; the lists have one entry for each order that was sent.

    answered: 0 where no answer came;  status: the HTTP status, 0 without an answer
    ids:      the order ids, 36 characters each, blanks where the order was not accepted
    """

    first: int
    started: float
    ended: float
    cpu_s: float
    due: bytes
    sent: bytes
    answered: bytes
    status: bytes
    ids: bytes
    errors: dict[str, int]
    seen: bytes = b""
    """When a watcher saw it COMPLETED, 0 if it did not; nothing of the load generator."""


def order_id_in(body: bytes) -> str:
    """The order's id in the answer to an accepted order."""
    at = body.index(b'"orderId":"') + len(b'"orderId":"')
    return body[at : at + ORDER_ID_LENGTH].decode()


def due_after(n: int, rate: float) -> float:
    """Seconds from the start at which order n of an open loop is due."""
    return n / rate


class Generator:
    """Runs one spec."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        host = f"{spec.host}:{spec.port}"
        self._requests = [request(basket, host) for basket in draw(spec.users, spec.products)]
        self._selector = selectors.DefaultSelector()
        self._idle: deque[_Connection] = deque()
        self._late: deque[int] = deque()
        self._open = 0
        self._waiting = 0
        self._due, self._sent, self._answered = array("d"), array("d"), array("d")
        self._status = array("H")
        self._ids = bytearray()
        self._accepted = 0
        self._heard_at = 0.0
        self._errors: dict[str, int] = {}
        # Monotonic from here on, so that nobody's clock correction is a latency.
        self._epoch = time.time() - time.perf_counter()

    def now(self) -> float:
        return self._epoch + time.perf_counter()

    def run(self) -> Result:
        spec = self._spec
        cpu_before = cpu_s()
        started = self._heard_at = self.now()
        stop_at = started + spec.seconds if spec.seconds else float("inf")
        most = spec.orders or 2**62
        tell_at = started
        while True:
            now = self.now()
            if now - self._heard_at > spec.answer_within_s:
                self._count(f"ended: nothing was answered for {spec.answer_within_s:.0f} s")
                break
            issuing = now < stop_at and len(self._due) < most
            if issuing and spec.rate:
                while (
                    len(self._due) < most and (due := started + due_after(len(self._due), spec.rate)) <= now < stop_at
                ):
                    self._issue(due)
                wake_at = min(started + due_after(len(self._due), spec.rate), stop_at)
            elif issuing:
                while self._open < spec.connections and self._connect():
                    pass
                while self._idle and len(self._due) < most:
                    self._issue(now)
                wake_at = stop_at
            else:
                if not self._waiting and not self._late:
                    break
                wake_at = now + TELL_EVERY_S
            if now >= tell_at:
                tell_at = now + TELL_EVERY_S
                self._give_up_on_the_silent(now)
                print(len(self._due), self._accepted, flush=True)
            for ready, _ in self._selector.select(max(0.0, min(wake_at, tell_at) - now)):
                ready.data.read()
            while self._late and (connection := self._free()):
                connection.send(self._late.popleft())
        ended = self.now()
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        return Result(
            first=spec.first,
            started=started,
            ended=min(ended, stop_at),
            cpu_s=cpu_s() - cpu_before,
            due=self._due.tobytes(),
            sent=self._sent.tobytes(),
            answered=self._answered.tobytes(),
            status=self._status.tobytes(),
            ids=bytes(self._ids),
            errors=self._errors,
        )

    def _issue(self, due: float) -> None:
        n = len(self._due)
        self._due.append(due)
        self._sent.append(0.0)
        self._answered.append(0.0)
        self._status.append(0)
        self._ids += b" " * ORDER_ID_LENGTH
        if connection := self._free():
            connection.send(n)
        else:
            self._late.append(n)

    def _free(self) -> _Connection | None:
        if self._idle:
            return self._idle.popleft()
        if self._spec.rate and self._open < CONNECTIONS_MAX and self._connect():
            return self._idle.popleft()
        return None

    def _connect(self) -> bool:
        try:
            connected = socket.create_connection((self._spec.host, self._spec.port), self._spec.answer_within_s)
        except OSError as error:
            self._count(f"cannot connect: {error.strerror or error}")
            time.sleep(0.05)  # nobody listens: no need to ask a thousand times a second
            return False
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        connection = _Connection(self, connected)
        self._selector.register(connected, selectors.EVENT_READ, connection)
        self._idle.append(connection)
        self._open += 1
        return True

    def _give_up_on_the_silent(self, now: float) -> None:
        for key in list(self._selector.get_map().values()):
            connection: _Connection = key.data
            if connection.order >= 0 and now - self._sent[connection.order] > self._spec.answer_within_s:
                connection.lost(f"no answer within {self._spec.answer_within_s:.0f} s")

    def _count(self, error: str) -> None:
        self._errors[error] = self._errors.get(error, 0) + 1

    # What a connection tells.

    def request_of(self, n: int) -> bytes:
        self._sent[n] = self.now()
        self._waiting += 1
        return self._requests[(self._spec.first + n) % DIFFERENT]

    def answer(self, connection: _Connection, n: int, status: int, body: bytes) -> None:
        self._answered[n] = self._heard_at = self.now()
        self._status[n] = status
        self._waiting -= 1
        if status == ACCEPTED:
            self._ids[n * ORDER_ID_LENGTH : (n + 1) * ORDER_ID_LENGTH] = order_id_in(body).encode()
            self._accepted += 1
        else:
            self._count(f"answered {status}: {body[:100].decode(errors='replace')}")
        self._idle.append(connection)

    def lost(self, connection: _Connection, why: str) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._open -= 1
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        if connection.order >= 0:
            self._waiting -= 1
            self._count(why)


class _Connection:
    """One kept HTTP connection, with one order at a time; also what httptools calls back."""

    def __init__(self, generator: Generator, connected: socket.socket) -> None:
        self.socket = connected
        self.order = -1
        self._generator = generator
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""

    def send(self, n: int) -> None:
        self.order = n
        self._body = b""
        try:
            self.socket.sendall(self._generator.request_of(n))  # some 200 bytes into an empty buffer: never blocks
        except OSError as error:
            self.lost(f"connection lost: {error.strerror or error}")

    def read(self) -> None:
        try:
            data = self.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError as error:
            self.lost(f"connection lost: {error.strerror or error}")
            return
        if not data:
            self.lost("connection closed")
            return
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        n, self.order = self.order, -1
        self._generator.answer(self, n, self._parser.get_status_code(), self._body)

    def lost(self, why: str) -> None:
        self._generator.lost(self, why)
        self.order = -1


def cpu_s() -> float:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the spec on stdin; the result is written to its `out`."""
    if hasattr(os, "sched_setaffinity"):
        # Pinned: its share of the machine is one core at most, and it never wanders.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    result = Generator(spec).run()
    Path(spec.out).write_bytes(msgspec.msgpack.encode(result))


if __name__ == "__main__":
    main()
