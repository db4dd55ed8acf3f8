"""`/health`, `/ready` and `/metrics` of a service, on threads of their own."""

import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import prometheus_client

from services.engine.health import Health

THREADS = 4


class _Quiet(WSGIRequestHandler):
    timeout = 5  # seconds that a client may keep a thread waiting

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    """A few threads, so that health answers while a scrape waits for the broker. They end with the process."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._free = threading.BoundedSemaphore(THREADS)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


def serve(host: str, port: int, health: Health) -> None:
    """Listens until the process ends. OSError if the port is taken."""
    untyped: Any = prometheus_client
    metrics = untyped.make_wsgi_app()

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/health":
                return _answer(start_response, "" if health.live else "the loop does not move")
            case "/ready":
                return _answer(start_response, health.not_ready_because)
            case _:
                return _answer(start_response, "there are /health, /ready and /metrics", "404 Not Found")

    server = make_server(host, port, app, _Server, _Quiet)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()


def _answer(start_response: Any, problem: str, status: str = "503 Service Unavailable") -> Iterable[bytes]:
    start_response(status if problem else "200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [(problem or "ok").encode() + b"\n"]
