"""The console's pages in a real browser, before a gateway with doubles: they run under the policy, and can be read.

Needs a Chromium (`gateway/tests/browser.py`) and `web/dist`, which set-up builds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from gateway.settings import Settings
from gateway.tests.browser import (
    NEEDS_CHROMIUM,
    PAGES,
    PHONE,
    WIDE,
    Theme,
    assert_can_be_read_by_everybody,
    chromium,
    complaints,
    visit,
    window,
)

BUILT = (Settings().console_dist / "index.html").exists()
EVENTS = 10_000
ROWS_MAX = 60
"""Those in view, and a few above and below."""
STREAM = "text/event-stream"
NO_ADMIN = ["404"]
"""That there is no /admin here, the console learns by a 404."""

pytestmark = [
    pytest.mark.timeout(300),
    NEEDS_CHROMIUM,
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
    with chromium() as browser:
        yield browser


def test_an_order_is_put_together_placed_and_followed(browser: Browser, url: str) -> None:
    with window(browser) as page:
        said = complaints(page, url, NO_ADMIN)
        page.goto(url)
        page.get_by_label("More of Quantity of Premium Widget").click()
        page.get_by_label("More of Quantity of Premium Widget").click()
        expect(page.get_by_test_id("total")).to_have_text(re.compile(r"59\.98"))
        page.get_by_role("button", name="Place order").click()
        page.wait_for_url(re.compile(r"#/orders/[0-9a-f-]{36}$"))
        expect(page.locator('[data-connection="live"]')).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Pending")
        assert said == []


def test_a_chosen_theme_and_language_are_kept(browser: Browser, url: str) -> None:
    with window(browser) as page:
        said = complaints(page, url, NO_ADMIN)
        page.goto(url)
        page.get_by_role("button", name="Dark theme").click()
        page.get_by_role("combobox", name="Language").click()
        page.get_by_role("option", name="日本語").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("商品")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("商品")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.locator("html").get_attribute("lang") == "ja"
        assert said == []


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", PHONE)])
def test_every_page_can_be_read_by_everybody(browser: Browser, url: str, theme: Theme, size: ViewportSize) -> None:
    with window(browser, theme, size, calm=True) as page:
        said = complaints(page, url, NO_ADMIN)
        for name in (*PAGES, "nowhere"):
            visit(page, url, name)
            assert page.locator("html").get_attribute("data-theme") == theme
            assert_can_be_read_by_everybody(page, name)
        assert said == []


def test_a_page_that_cannot_be_loaded_says_so_and_comes_when_the_gateway_is_back(browser: Browser, url: str) -> None:
    with window(browser) as page:
        visit(page, url, "")
        away = re.compile(r"/(assets/.*|health)$")
        page.route(away, lambda route: route.abort())
        page.get_by_role("link", name="Marketing").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("This page cannot be shown")
        page.wait_for_event("requestfailed", lambda request: request.url.endswith("/health"))
        page.unroute(away)
        expect(page.get_by_role("heading", level=1)).to_have_text("Marketing")


def test_ten_thousand_events_are_a_few_rows(browser: Browser, url: str) -> None:
    with window(browser) as page:
        page.route("**/events?*", lambda route: route.fulfill(json={"items": [], "nextCursor": None}))
        page.route(
            "**/events/stream", lambda route: route.fulfill(body=stream_of(EVENTS), content_type=STREAM), times=1
        )
        visit(page, url, "events")
        expect(page.get_by_test_id("count")).to_have_text(f"{EVENTS:,} of {EVENTS:,}")
        log, rows = page.get_by_role("region", name="Events"), page.locator("li[data-event]")
        expect(rows.first).to_contain_text("DeliveryProgressed")
        for share in (0, 0.5, 1):
            log.evaluate("(box, share) => box.scrollTo(0, share * (box.scrollHeight - box.clientHeight))", share)
            newest = round((EVENTS - 1) * (1 - share))
            expect(page.locator(f'li[data-event="event-{newest}"]')).to_be_visible()
            assert rows.count() <= ROWS_MAX


def stream_of(count: int) -> str:
    """Server-Sent Events, the newest last."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    events = (
        {
            "id": f"event-{n}",
            "type": "DeliveryProgressed",
            "fullType": "shop.shipping.v1.DeliveryProgressed",
            "time": (begun + timedelta(milliseconds=n)).isoformat().replace("+00:00", "Z"),
            "service": "shipping",
            "topic": "shipping",
            "key": f"order-{n}",
            "orderId": f"order-{n}",
            "causationId": None,
            "traceId": None,
            "data": {"status": "IN_TRANSIT"},
        }
        for n in range(count)
    )
    return "".join(f"id: {n}\ndata: {json.dumps(event)}\n\n" for n, event in enumerate(events))
