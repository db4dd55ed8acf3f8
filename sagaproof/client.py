"""The gateway as the commands see it: calls by HTTP, watching by WebSocket.

Answers are the gateway's own JSON, as bytes and unchanged (`sagaproof.documents` has their types). Whatever goes wrong
is an `Unreachable` or a `Refused` with one line for the user. A watch survives lost connections: it connects again and
goes on from the last seq that it saw, so that each state is given once.
"""

import math
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from sagaproof.documents import order_decoder
from sagaproof.errors import CommandError, Refused, Unreachable

CALL_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 1.0
LONGEST_BACKOFF_S = 2.0
PATIENCE_S = 60.0
"""How long a watch goes on trying to connect again before it gives up."""

SSE_SILENCE_S = 40.0
"""After which a stream is lost: the gateway says something every 15 s."""

SILENCE_S = 10.0
"""After which a watcher is told where to look."""

LARGEST_DOCUMENT_BYTES = 16 * 1024 * 1024
FINISHED = 1000
FIRST_SERVER_ERROR = 500
REFUSALS = range(4400, 4500)
"""WebSocket close codes with which the gateway says no, made from HTTP's."""

UNKNOWN_ORDER = 4404


class FieldError(msgspec.Struct, frozen=True):
    """One field of a problem document that is wrong."""

    field: str = ""
    message: str = ""


class Problem(msgspec.Struct, rename="camel", frozen=True):
    """An RFC 9457 problem document, with the gateway's own members."""

    title: str = ""
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    order_id: str = ""
    services: dict[str, str] = {}


def _with_query(path: str, parameters: Mapping[str, str | int | None]) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _server_sent(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The events of a stream, each as its fields."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield fields
            fields = {}


def _receive(socket: ClientConnection, deadline: float | None, on_trouble: Callable[[str], None]) -> str | bytes:
    """The next message; a hint if it is long in coming. Raises TimeoutError at the deadline."""
    left_s = math.inf if deadline is None else deadline - time.monotonic()
    try:
        return socket.recv(timeout=min(left_s, SILENCE_S))
    except TimeoutError:
        if left_s <= SILENCE_S:
            raise
    on_trouble(f"nothing new for {SILENCE_S:.0f} s; `sagaproof health` shows how everything is")
    return socket.recv(timeout=None if deadline is None else left_s - SILENCE_S)


class _Retry:
    """When to connect again, and when to give up."""

    def __init__(self, url: str, on_trouble: Callable[[str], None]) -> None:
        self._url = url
        self._on_trouble = on_trouble
        self._since: float | None = None
        self._failures = 0

    def works_again(self) -> None:
        if self._since is not None:
            self._on_trouble("connected again")
        self._since, self._failures = None, 0

    def wait(self, trouble: Exception) -> None:
        """Wait before the next try. Raises Unreachable after PATIENCE_S without success."""
        if self._since is None:
            self._since = time.monotonic()
            self._on_trouble(f"the connection to {self._url} is lost, trying again")
        if time.monotonic() - self._since > PATIENCE_S:
            raise Unreachable(f"no answer from {self._url} for {PATIENCE_S:.0f} s: {trouble}") from None
        time.sleep(min(LONGEST_BACKOFF_S, 0.1 * 2**self._failures) * random.uniform(0.5, 1.0))
        self._failures += 1


class Gateway(AbstractContextManager["Gateway"]):
    """One gateway, by its address, for example http://127.0.0.1:8080."""

    def __init__(self, url: str) -> None:
        """Raises CommandError if `url` is not the address of a web server."""
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandError(f"{url!r} is no address of a gateway; it looks like http://127.0.0.1:8080")
        self.is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        # A proxy of the environment is for other machines.
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(CALL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=not self.is_local,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def place(
        self, items: Sequence[tuple[str, int]], *, user: str, address: str | None = None, key: str | None = None
    ) -> bytes:
        """Place an order. It is tried once: without a key, a second try could be a second order."""
        body: dict[str, object] = {
            "userId": user,
            "items": [{"productId": product, "quantity": quantity} for product, quantity in items],
        }
        if address is not None:
            body["deliveryAddress"] = address
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._call("POST", "/order", json=body, headers=headers)

    def status(self, order_id: str) -> bytes:
        return self._call("GET", f"/status/{quote(order_id, safe='')}")

    def cancel(self, order_id: str) -> bytes:
        return self._call("POST", f"/order/{quote(order_id, safe='')}/cancel")

    def products(self) -> bytes:
        return self._call("GET", "/products")

    def product(self, product_id: str) -> bytes:
        return self._call("GET", f"/products/{quote(product_id, safe='')}")

    def marketing(self, view: str, **parameters: str | int | None) -> bytes:
        """`view` is the last part of the path; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._call("GET", f"/marketing/{view}?{urlencode(given)}")

    def read(self, path: str, **parameters: str | int | None) -> bytes:
        """Whatever is listed at this path; parameters that are None are left out."""
        return self._call("GET", _with_query(path, parameters))

    def follow(
        self, path: str, *, on_trouble: Callable[[str], None] = lambda _: None, **parameters: str | int | None
    ) -> Generator[bytes]:
        """The documents of a stream of Server-Sent Events as they come, over lost connections; without end.

        Raises Refused, and Unreachable when nothing answers at first, or for PATIENCE_S later. `on_trouble` hears of
        lost connections, and of events that were skipped.
        """
        address, last_id, connected_before = _with_query(path, parameters), "", False
        retry = _Retry(self.url, on_trouble)
        patience = httpx.Timeout(SSE_SILENCE_S, connect=CONNECT_TIMEOUT_S)
        while True:
            try:
                headers = {"Last-Event-ID": last_id} if last_id else {}
                with self._http.stream("GET", address, headers=headers, timeout=patience) as answer:
                    if not answer.is_success:
                        refusal = self._refusal(answer.status_code, answer.read())
                        if answer.status_code < FIRST_SERVER_ERROR or not connected_before:
                            raise refusal
                        raise httpx.RemoteProtocolError(refusal.line)
                    connected_before = True
                    retry.works_again()
                    for fields in _server_sent(answer.iter_lines()):
                        last_id = fields.get("id", last_id)
                        if fields.get("event") == "skipped":
                            on_trouble(f"some events were skipped: {fields['data']}")
                        else:
                            yield fields["data"].encode()
                raise httpx.RemoteProtocolError("the stream ended")
            except httpx.TransportError as error:
                if isinstance(error, httpx.ConnectError) and not connected_before:
                    raise self._silent() from None
                retry.wait(error)

    def ready(self) -> bytes:
        return self._call("GET", "/ready")

    def watch(
        self,
        order_id: str,
        *,
        since: int | None = None,
        within_s: float | None = None,
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> Generator[bytes]:
        """The order's document now (or once its seq is above `since`) and at each change, until there are no more.

        Raises Unreachable when nothing answers at first, or for PATIENCE_S later, or if the end of it has not come
        `within_s`; `on_trouble` hears of lost connections.
        """
        seq, connected_before = since, False
        retry = _Retry(self.url, on_trouble)
        deadline = None if within_s is None else time.monotonic() + within_s
        while True:
            try:
                with self._connect(order_id, seq) as socket:
                    connected_before = True
                    while True:
                        message = _receive(socket, deadline, on_trouble)
                        retry.works_again()
                        document = message if isinstance(message, bytes) else message.encode()
                        seq = order_decoder.decode(document).seq
                        yield document
            except (OSError, WebSocketException) as error:
                if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code == FINISHED:
                    return
                if isinstance(error, ConnectionRefusedError) and not connected_before:
                    raise self._silent() from None
                self._raise_if_refused(order_id, error)
                if deadline is not None and time.monotonic() >= deadline:
                    raise Unreachable(f"order {order_id} did not end within {within_s:.0f} s") from None
                retry.wait(error)

    def _raise_if_refused(self, order_id: str, error: Exception) -> None:
        """Tell an answer that stays the same from trouble that may pass."""
        if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code in REFUSALS:
            unknown = error.rcvd.code == UNKNOWN_ORDER
            raise Refused(f"there is no order {order_id}" if unknown else error.rcvd.reason) from None
        if isinstance(error, InvalidStatus) and error.response.status_code < FIRST_SERVER_ERROR:
            raise self._refusal(error.response.status_code, bytes(error.response.body or b"")) from None

    def _connect(self, order_id: str, seq: int | None) -> ClientConnection:
        address = f"ws{self.url.removeprefix('http')}/ws/{quote(order_id, safe='')}"
        return connect(
            address if seq is None else f"{address}?since={seq}",
            open_timeout=CONNECT_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=LARGEST_DOCUMENT_BYTES,
            proxy=None if self.is_local else True,
        )

    def _call(self, method: str, path: str, *, json: object = None, headers: Mapping[str, str] | None = None) -> bytes:
        try:
            answer = self._http.request(method, path, json=json, headers=headers)
        except httpx.ConnectError:
            raise self._silent() from None
        except httpx.TimeoutException:
            hint = "; `sagaproof health` shows which service is slow" if self.is_local else ""
            raise Unreachable(
                f"{self.url} took more than {CALL_TIMEOUT_S:.0f} s to answer {method} {path}{hint}"
            ) from None
        except httpx.TransportError as error:
            raise Unreachable(f"{method} {self.url}{path}: {error or type(error).__name__}") from None
        if answer.is_success:
            return answer.content
        raise self._refusal(answer.status_code, answer.content)

    def _silent(self) -> Unreachable:
        what_to_do = "start it with `make run`" if self.is_local else "is --url (or SAGAPROOF_URL) right?"
        return Unreachable(f"nothing answers at {self.url}: {what_to_do}")

    def _refusal(self, status: int, body: bytes) -> Refused:
        try:
            problem = msgspec.json.decode(body, type=Problem)
        except msgspec.DecodeError:
            problem = Problem()
        if not problem.title:
            line = f"{self.url} answered {status}, and not as a gateway does: is the address right?"
            return Refused(line)
        details = [f"{error.field}: {error.message}" for error in problem.errors]
        detail = details.pop() if len(details) == 1 else "" if details else problem.detail
        said = problem.title.casefold() in detail.casefold()
        line = detail if said else ": ".join(filter(None, (problem.title, detail)))
        details += [f"{service}: {state}" for service, state in problem.services.items()]
        if status >= FIRST_SERVER_ERROR and problem.order_id:
            details.append(f"the order may exist all the same: sagaproof status {problem.order_id}")
        return Refused(line, details)
