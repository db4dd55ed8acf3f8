"""A real browser for the console: to test it, to measure it and to take its pictures.

It is the system's Chromium: CHROMIUM names it, else it is looked for on the PATH.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

Theme = Literal["light", "dark"]

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; CHROMIUM may name one")
WITHIN_MS = 30_000
WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PAGES = ("", "orders", "saga", "dashboard", "events", "sagas", "dead-letters", "faults", "marketing")
_SERIOUS = ("serious", "critical")


@contextmanager
def chromium() -> Generator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def window(
    browser: Browser, theme: Theme = "light", size: ViewportSize = WIDE, *, calm: bool = False
) -> Generator[Page]:
    """A page in a window of its own, as somebody in Britain has it; a calm one moves nothing."""
    motion = "reduce" if calm else "no-preference"
    with browser.new_context(viewport=size, locale="en-GB", color_scheme=theme, reduced_motion=motion) as context:
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        expect.set_options(timeout=WITHIN_MS)
        yield page


def complaints(page: Page, url: str, but: Sequence[str]) -> list[str]:
    """Grows by what the browser complains of, such as a breach of the policy, and by each request to somebody else.

    but: parts of complaints that are no surprise
    """
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(each in message.text for each in but):
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(url) else said.append(request.url))
    return said


def visit(page: Page, url: str, name: str) -> None:
    """Shows a page of the console; returns when it has what it shows."""
    page.goto(f"{url}/#/{name}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


def assert_can_be_read_by_everybody(page: Page, name: str) -> None:
    """By axe's rules, and without being wider than the screen."""
    found: list[dict[str, Any]] = cast("Any", Axe()).run(page).response["violations"]
    serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in _SERIOUS]
    assert serious == [], f"#/{name}: {serious}"
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide == 0, f"#/{name} is {too_wide} pixels wider than the screen"
