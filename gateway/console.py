"""The console in the browser: the files of `web/dist`, as set-up or the image's build has made them.

They are read once, at the start. A file under /assets has its hash in its name and is kept by browsers for ever; all
others are asked for again each time, and answered with 304 where they have not changed. Nothing comes from elsewhere,
and no script or style stands inside a page: the policy below forbids it.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.problems import Kind, ProblemError

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_WORTH_ZIPPING_BYTES = 1_024
_ZIPPED_ALREADY = frozenset({".png", ".woff2", ".gif", ".webp"})

_NOT_BUILT = Kind("urn:sagaproof:problem:console-not-built", "The console is not built", HTTPStatus.NOT_FOUND)


@dataclass(frozen=True)
class _File:
    media_type: str
    etag: str
    cache_control: str
    body: bytes
    zipped: bytes | None

    @classmethod
    def read(cls, path: Path, name: str) -> _File:
        body = path.read_bytes()
        worth_it = len(body) >= _WORTH_ZIPPING_BYTES and path.suffix not in _ZIPPED_ALREADY
        return cls(
            media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            cache_control=_FOR_EVER if name.startswith("assets/") else "no-cache",
            body=body,
            zipped=gzip.compress(body, mtime=0) if worth_it else None,
        )

    def answer(self, request: Request) -> Response:
        headers = {**_HEADERS, "Cache-Control": self.cache_control, "ETag": self.etag}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if self.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)


def router(dist: Path) -> APIRouter:
    """One route for each file of the folder. With no folder there, `/` says how to make it."""
    files = {
        path.relative_to(dist).as_posix(): path
        for path in sorted(dist.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    routes = APIRouter(include_in_schema=False)
    for name, path in files.items():
        _serve(routes, "/" if name == "index.html" else f"/{name}", _File.read(path, name))
    if "index.html" not in files:

        async def not_built() -> Response:
            raise ProblemError(_NOT_BUILT, "`make setup` builds the console; see docs/console.md.")

        routes.add_api_route("/", not_built, methods=["GET"])
    return routes


def _serve(routes: APIRouter, at: str, file: _File) -> None:
    async def serve(request: Request) -> Response:
        return file.answer(request)

    routes.add_api_route(at, serve, methods=["GET", "HEAD"], response_model=None)
