"""Orders as one customer sees them, one after another: a process of its own, `python -m bench.watcher`.

It places an order over a kept HTTP connection, opens a WebSocket for it and reads until it is COMPLETED (or ends
otherwise): the time of that is the whole of what a client waits, connecting included. Told by JSON on stdin; its result
has the shape of the load generator's.
"""

from __future__ import annotations

import socket
import sys
import time
from array import array
from pathlib import Path

import httptools
import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

from bench.baskets import DIFFERENT, draw, request
from bench.load import ACCEPTED, ORDER_ID_LENGTH, Result, cpu_s, order_id_in
from sagaproof.documents import ENDINGS

WITHIN_S = 60.0
TELL_EVERY_S = 0.5
PIECE = 65_536


class WatchSpec(msgspec.Struct, frozen=True):
    """One order after another, or one each `every_s`; until `seconds` or `orders` are over (0: no limit)."""

    host: str
    port: int
    out: str
    users: int
    products: list[str]
    every_s: float = 0.0
    seconds: float = 0.0
    orders: int = 0
    first: int = 0


class Document(msgspec.Struct):
    """All that is read of a status document."""

    status: str


class Customer:
    """Runs one spec."""

    def __init__(self, spec: WatchSpec) -> None:
        self._spec = spec
        self._requests = [request(basket, f"{spec.host}:{spec.port}") for basket in draw(spec.users, spec.products)]
        self._epoch = time.time() - time.perf_counter()
        self._decoder = msgspec.json.Decoder(Document)
        self._http: socket.socket | None = None

    def now(self) -> float:
        return self._epoch + time.perf_counter()

    def run(self) -> Result:
        spec, cpu_before = self._spec, cpu_s()
        sent, answered, seen, status = array("d"), array("d"), array("d"), array("H")
        ids, errors = bytearray(), dict[str, int]()
        started = tell_at = self.now()
        while not (spec.orders and len(sent) >= spec.orders):
            due = started + len(sent) * spec.every_s
            time.sleep(max(0.0, due - self.now()))
            now = self.now()
            if spec.seconds and now >= started + spec.seconds:
                break
            sent.append(now)
            code, order_id, answered_at, seen_at = 0, "", 0.0, 0.0
            try:
                code, body = self._post(self._requests[(spec.first + len(sent) - 1) % DIFFERENT])
                answered_at = self.now()
                if code == ACCEPTED:
                    order_id = order_id_in(body)
                    self._watch(order_id)
                    seen_at = self.now()
            except (OSError, EOFError, ValueError) as error:
                why = f"watching: {type(error).__name__}: {error}"
                errors[why] = errors.get(why, 0) + 1
                self._http = None
            answered.append(answered_at)
            seen.append(seen_at)
            status.append(code)
            ids += order_id.encode().ljust(ORDER_ID_LENGTH)
            if now >= tell_at:
                tell_at = now + TELL_EVERY_S
                print(len(sent), len(sent), flush=True)
        return Result(
            first=spec.first,
            started=started,
            ended=self.now(),
            cpu_s=cpu_s() - cpu_before,
            due=sent.tobytes(),
            sent=sent.tobytes(),
            answered=answered.tobytes(),
            status=status.tobytes(),
            ids=bytes(ids),
            errors=errors,
            seen=seen.tobytes(),
        )

    def _connect(self) -> socket.socket:
        made = socket.create_connection((self._spec.host, self._spec.port), timeout=WITHIN_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _post(self, message: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError, or EOFError if the server hangs up."""
        if self._http is None:
            self._http = self._connect()
        self._http.sendall(message)
        answer = _Answer()
        while not answer.complete:
            answer.feed(_some(self._http))
        return answer.status, answer.body

    def _watch(self, order_id: str) -> None:
        """Returns when the order is COMPLETED. Raises ValueError if it is not to be, OSError, EOFError."""
        url = f"ws://{self._spec.host}:{self._spec.port}/ws/{order_id}"
        protocol = ClientProtocol(parse_uri(url))
        with self._connect() as connection:
            protocol.send_request(protocol.connect())
            while True:
                for piece in protocol.data_to_send():
                    connection.sendall(piece)
                protocol.receive_data(_some(connection))
                if protocol.handshake_exc:
                    raise ValueError(str(protocol.handshake_exc))
                for event in protocol.events_received():
                    if isinstance(event, Frame) and event.data:
                        found = self._decoder.decode(event.data).status
                        if found == "COMPLETED":
                            return
                        if found in ENDINGS:
                            raise ValueError(f"the order is {found}")


class _Answer:
    """An HTTP response, as far as it has come."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.body = b""
        self.complete = False

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(PIECE)
    if not data:
        raise EOFError("the gateway hung up")
    return data


def main() -> None:
    """Run the spec on stdin; the result is written to its `out`."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=WatchSpec)
    Path(spec.out).write_bytes(msgspec.msgpack.encode(Customer(spec).run()))


if __name__ == "__main__":
    main()
