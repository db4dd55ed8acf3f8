"""The console in a real browser, on a whole shop: a customer's day, an operator's, and what it is like to read.

Needs a Chromium (`gateway/tests/browser.py`). Screenshots are kept in `reports/console`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from e2e.conftest import STOCK
from e2e.shop import HEALS_WITHIN_S, Shop, eventually
from e2e.test_bad_days import event, headers, send
from gateway.tests.browser import (
    NEEDS_CHROMIUM,
    PAGES,
    PHONE,
    WIDE,
    WITHIN_MS,
    Theme,
    assert_can_be_read_by_everybody,
    chromium,
    complaints,
    visit,
    window,
)

SHOTS = Path(__file__).resolve().parents[1] / "reports" / "console"
AWAY = ("Failed to load resource", "ERR_CONNECTION", "WebSocket connection to")
"""What a browser says of a gateway that was killed."""

pytestmark = [pytest.mark.e2e, NEEDS_CHROMIUM]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Generator[Page]:
    """A customer's page. The browser has nothing to complain of but of a gateway that is away."""
    with window(browser) as page:
        said = complaints(page, shop.url, AWAY)
        page.goto(f"{shop.url}/")
        yield page
        assert said == []


def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", timeout=2 * WITHIN_MS)


def fill_in(page: Page, product: str, quantity: int, user: str) -> None:
    """An order form of one product."""
    page.get_by_label("Customer").fill(user)
    card = page.get_by_role("listitem").filter(has=page.get_by_text(product, exact=True))
    card.get_by_role("textbox").fill(str(quantity))
    card.get_by_role("textbox").blur()


def place(page: Page, product: str, quantity: int = 1) -> str:
    """Orders by the form; the id of the order whose page is shown then."""
    page.goto(f"{page.url.partition('#')[0]}#/")
    fill_in(page, product, quantity, f"user-{uuid4()}")
    page.get_by_role("button", name=re.compile("Place")).click()
    page.wait_for_url(re.compile(r"#/orders/[0-9a-f-]{36}$"))
    return page.url.rpartition("/")[2]


def status(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def timeline(page: Page) -> list[str]:
    """The types of events that an order's page shows, in order."""
    return [entry.get_attribute("data-type") or "" for entry in page.locator("li[data-type]").all()]


@contextmanager
def paused(shop: Shop, process: str) -> Generator[None]:
    """The process takes no messages meanwhile, by the console's own call."""
    body = {"process": process}
    assert shop.http.post("/admin/pause", json=body).status_code == 200
    try:
        yield
    finally:
        eventually("it goes on", lambda: shop.http.post("/admin/resume", json=body).status_code == 200, HEALS_WITHIN_S)


def test_a_customer_orders_and_follows_the_parcel_to_the_door(page: Page, shop: Shop, product: str) -> None:
    fill_in(page, product, 3, f"user-{uuid4()}")
    fill_in(page, "product-1", 1, f"user-{uuid4()}")
    expect(page.get_by_test_id("total")).to_have_text(re.compile(r"32\.99"))
    shoot(page, "shop")
    order_id = place(page, product, 3)
    status(page, "Completed")
    expect(page.locator('[data-connection="ended"]')).to_be_visible()
    expect(page.locator('[data-step="done"]')).to_have_count(7)
    document = shop.status(order_id)
    assert document is not None
    expect(page.get_by_test_id("tracking")).to_have_text(document["delivery"]["trackingNumber"])
    assert timeline(page) == [entry["type"] for entry in document["timeline"]]
    shoot(page, "order")


def test_an_order_of_more_than_there_is_is_warned_of_and_then_refused_by_the_saga(
    page: Page, shop: Shop, product: str
) -> None:
    shop.ended(shop.order((product, 5)))
    fill_in(page, product, STOCK, f"user-{uuid4()}")
    expect(page.get_by_text(f"Only {STOCK - 5} are available now.")).to_be_visible()
    place(page, product, STOCK)
    status(page, "Out of stock")
    expect(page.locator('[data-step="failed"]')).to_have_count(1)
    shoot(page, "out-of-stock")


def test_an_order_that_waits_is_cancelled_by_its_customer(page: Page, shop: Shop, product: str) -> None:
    with paused(shop, "payment"):
        place(page, product)
        page.get_by_role("button", name="Cancel order").click()
        expect(page.get_by_text("Cancellation asked for")).to_be_visible()
    status(page, "Cancelled by customer")
    expect(page.locator('[data-step="undone"]').first).to_be_visible()


@pytest.mark.prove
def test_a_page_comes_back_by_itself_when_the_gateway_was_killed_and_shows_nothing_twice(
    page: Page, shop: Shop, product: str
) -> None:
    with paused(shop, "payment"):
        order_id = place(page, product)
        status(page, "Awaiting payment")
        expect(page.locator('[data-connection="live"]')).to_be_visible()
        shop.kill("gateway")
        expect(page.locator('[data-connection="reconnecting"]')).to_be_visible()
        expect(page.locator('[data-connection="live"]')).to_be_visible()
    status(page, "Completed")
    expect(page.locator('[data-connection="ended"]')).to_be_visible()
    document = shop.status(order_id)
    assert document is not None
    assert timeline(page) == [entry["type"] for entry in document["timeline"]]


def test_the_saga_is_drawn_from_its_table_and_an_undone_order_lights_up_what_was_undone(page: Page, shop: Shop) -> None:
    page.goto(f"{shop.url}/#/saga")
    page.get_by_role("button", name="Parcel too large").click()
    for name in ("OrderCreated", "ShipmentFailed", "PaymentRefunded", "InventoryReleased", "OrderCancelled"):
        expect(page.locator(f'[data-node="{name}"][data-lit="true"]')).to_have_count(1)
    expect(page.locator('[data-edge="ShipmentFailed>PaymentRefunded"][data-lit="true"]')).to_have_count(1)
    expect(page.locator('[data-node="Shipped"][data-lit="true"]')).to_have_count(0)
    rows = len(shop.http.get("/saga").json()["rows"])
    expect(page.locator("table tbody tr")).to_have_count(rows)
    shoot(page, "saga")


@pytest.mark.prove
def test_a_service_is_killed_from_the_page_and_the_order_ends_all_the_same(
    page: Page, shop: Shop, product: str
) -> None:
    before = shop.process("inventory")
    page.goto(f"{shop.url}/#/faults")
    page.get_by_role("button", name="Kill inventory after its commit").click()
    expect(page.get_by_text("Armed: inventory is hit by its next message.")).to_be_visible()
    order_id = shop.order((product, 1))
    assert shop.ended(order_id)["status"] == "COMPLETED"
    expect(page.get_by_text(re.compile("inventory (is back after|was restarted)")).first).to_be_visible()
    after = eventually("inventory runs again", lambda: shop.process("inventory"), HEALS_WITHIN_S)
    assert before is not None
    assert after.pid != before.pid
    shoot(page, "fault")


@pytest.mark.prove
def test_a_dead_letter_is_corrected_on_the_page_and_its_order_goes_on(page: Page, shop: Shop, product: str) -> None:
    order_id = str(uuid4())
    send(shop, event(product, order_id)[:-2], headers(), order_id)
    page.goto(f"{shop.url}/#/dead-letters")
    row = page.get_by_role("row").filter(has_text=order_id).filter(has=page.get_by_role("cell", name="inventory"))
    row.get_by_role("button").click()
    shoot(page, "dead-letter")
    payload = f'{{"order": {{"orderId": "{order_id}", "userId": "x", "items": [{{"productId": "", "quantity": 1}}]}}}}'
    editor = page.get_by_role("dialog").get_by_role("textbox")
    editor.fill(payload)
    page.get_by_role("button", name="Replay corrected").click()
    expect(page.get_by_role("alert")).to_contain_text("order.items[0].productId")
    editor.fill(payload.replace('"productId": ""', f'"productId": "{product}"'))
    page.get_by_role("button", name="Replay corrected").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row).to_have_count(0)
    eventually("its pieces are reserved", lambda: shop.products()[product]["available"] == STOCK - 1, HEALS_WITHIN_S)


@pytest.mark.prove
@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", WIDE), ("light", PHONE), ("dark", PHONE)])
def test_every_page_can_be_read_by_everybody(
    browser: Browser, shop: Shop, theme: Theme, size: ViewportSize, product: str
) -> None:
    order_id = shop.order((product, 1))
    with window(browser, theme, size, calm=True) as page:
        for name in (*PAGES, f"orders/{order_id}"):
            visit(page, shop.url, name)
            assert page.locator("html").get_attribute("data-theme") == theme
            assert_can_be_read_by_everybody(page, name)
            shoot(page, f"{theme}-{size['width']}-{name.partition('/')[0] or 'products'}")
