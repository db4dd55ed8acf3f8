"""The console's files: how long browsers may keep them, and what its pages may not do."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.tests.conftest import Stack, running

SCRIPT = "console.log('it is a script that is long enough to be zipped');\n" * 40


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Stack]:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>console</title>")
    (tmp_path / "assets" / "index-abc.js").write_text(SCRIPT)
    (tmp_path / ".stamp").write_text("not for anybody")
    async with running(console_dist=tmp_path) as stack:
        yield stack


@pytest.mark.anyio
async def test_the_page_is_asked_for_again_each_time_and_its_assets_never(console: Stack) -> None:
    page = await console.http.get("/")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
    assert page.headers["content-type"].startswith("text/html")
    again = await console.http.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    script = await console.http.get("/assets/index-abc.js")
    assert script.text == SCRIPT
    assert "immutable" in script.headers["cache-control"]


@pytest.mark.anyio
async def test_a_page_may_load_nothing_from_elsewhere_and_run_nothing_inline(console: Stack) -> None:
    policy = (await console.http.get("/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.anyio
async def test_who_takes_gzip_gets_gzip_and_others_get_the_file(console: Stack) -> None:
    async with console.http.stream("GET", "/assets/index-abc.js", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(raw).decode() == SCRIPT
    plain = await console.http.get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/.stamp", "/assets/", "/assets/../.stamp", "/assets/%2e%2e/.stamp"])
async def test_what_is_no_file_of_the_console_is_a_404(console: Stack, path: str) -> None:
    answer = await console.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.anyio
async def test_a_gateway_without_a_console_says_how_to_build_one(tmp_path: Path) -> None:
    async with running(console_dist=tmp_path / "nowhere") as stack:
        answer = await stack.http.get("/")
        assert answer.status_code == 404
        assert "make setup" in answer.json()["detail"]
        assert (await stack.http.get("/health")).status_code == 200
