"""The console's pages in a real browser, before a gateway with doubles: they run under the policy, and can be read.

Needs a Chromium (CHROMIUM names it, else it is looked for on the PATH) and `web/dist`, which set-up builds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from gateway.settings import Settings

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
BUILT = (Settings().console_dist / "index.html").exists()
WITHIN_MS = 30_000
WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PAGES = ("", "orders", "saga", "dashboard", "events", "sagas", "dead-letters", "faults", "marketing", "nowhere")
SERIOUS = ("serious", "critical")

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; CHROMIUM may name one"),
    pytest.mark.skipif(not BUILT, reason="the console is not built; `make setup` does it where there is a registry"),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "gateway.tests.serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stack:
        assert stack.stdout
        yield stack.stdout.readline().strip()
        stack.communicate(timeout=30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def watched(page: Page, url: str) -> list[str]:
    """What the browser complains of, such as a breach of the policy, and each request to somebody else."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # That there is no /admin here, the console learns by a 404.
        if message.type in ("error", "warning") and "404" not in message.text:
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(url) else said.append(request.url))
    return said


def test_an_order_is_put_together_placed_and_followed(browser: Browser, url: str) -> None:
    with browser.new_context(viewport=WIDE, locale="en-GB") as context:
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        said = watched(page, url)
        page.goto(url)
        page.get_by_label("More of Quantity of Premium Widget").click()
        page.get_by_label("More of Quantity of Premium Widget").click()
        expect(page.get_by_test_id("total")).to_have_text(re.compile(r"59\.98"), timeout=WITHIN_MS)
        page.get_by_role("button", name="Place order").click()
        page.wait_for_url(re.compile(r"#/orders/[0-9a-f-]{36}$"))
        expect(page.locator('[data-connection="live"]')).to_be_visible(timeout=WITHIN_MS)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Pending", timeout=WITHIN_MS)
        assert said == []


def test_a_chosen_theme_and_language_are_kept(browser: Browser, url: str) -> None:
    with browser.new_context(viewport=WIDE, locale="en-GB", color_scheme="light") as context:
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        said = watched(page, url)
        page.goto(url)
        page.get_by_role("button", name="Dark theme").click()
        page.get_by_role("combobox", name="Language").click()
        page.get_by_role("option", name="日本語").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("商品", timeout=WITHIN_MS)
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("商品", timeout=WITHIN_MS)
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.locator("html").get_attribute("lang") == "ja"
        assert said == []


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", PHONE)])
def test_every_page_can_be_read_by_everybody(browser: Browser, url: str, theme: str, size: ViewportSize) -> None:
    axe = cast("Any", Axe())
    scheme = "dark" if theme == "dark" else "light"
    with browser.new_context(viewport=size, locale="en-GB", color_scheme=scheme, reduced_motion="reduce") as context:
        page = context.new_page()
        said = watched(page, url)
        for name in PAGES:
            page.goto(f"{url}/#/{name}")
            expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=WITHIN_MS)
            expect(page.get_by_role("status", name="Loading")).to_have_count(0, timeout=WITHIN_MS)
            assert page.locator("html").get_attribute("data-theme") == theme
            found: list[dict[str, Any]] = axe.run(page).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in SERIOUS] == [], name
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert said == []
