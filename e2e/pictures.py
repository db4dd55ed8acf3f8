"""The README's pictures, taken of a shop that runs: `make pictures`.

Two screenshots and a short film, as WebP in `docs/images`. The film is played as it happened, and what stands still for
long is cut short.
"""

from __future__ import annotations

import io
import random
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from e2e.shop import Shop, running
from gateway.tests.browser import chromium, visit, window

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SCREEN: ViewportSize = {"width": 1280, "height": 800}
FILM_SIZE = (960, 600)
FILM_QUALITY = 55
SHOT_QUALITY = 85
STILL_MAX_MS = 1_500
LAST_MS = 2_500
EVERY_S = 0.1
TOO_HEAVY = 21
"""Pieces that do not fit into one parcel."""
CUSTOMERS = ("ada", "grace", "alan", "barbara", "edsger", "donald", "margaret", "katherine", "tim", "radia")


class _Frame(NamedTuple):
    png: bytes
    at: float


class Film:
    """What a page shows from one moment to the next."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[_Frame] = []

    def roll(self, seconds: float = 0, until: Callable[[], bool] = lambda: True) -> None:
        """Takes pictures for so long, and on until something is so."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends or not until():
            began = time.monotonic()
            self._frames.append(_Frame(self._page.screenshot(), began))
            self._page.wait_for_timeout(max(0.0, began + EVERY_S - time.monotonic()) * 1000)

    def save(self, path: Path) -> None:
        pictures: list[Image.Image] = []
        lasting_ms: list[int] = []
        before = b""
        for frame, following in zip(self._frames, [*self._frames[1:], None], strict=True):
            ms = round(1000 * (following.at - frame.at)) if following else LAST_MS
            if frame.png == before:
                lasting_ms[-1] = min(STILL_MAX_MS, lasting_ms[-1] + ms)
                continue
            before = frame.png
            picture = Image.open(io.BytesIO(frame.png)).convert("RGB")
            picture.thumbnail(FILM_SIZE)
            pictures.append(picture)
            lasting_ms.append(ms)
        first, *others = pictures
        first.save(
            path, append_images=others, save_all=True, duration=lasting_ms, loop=0, quality=FILM_QUALITY, method=4
        )


def fill(shop: Shop) -> None:
    """Some orders of some customers, with every ending but a customer's own."""
    chance = random.Random(1)
    for product in ("product-1", "product-2", "product-3"):
        shop.restock(product, 200)
    for _ in range(40):
        wanted = chance.sample(("product-1", "product-2", "product-3"), chance.choice((1, 1, 2)))
        shop.order(*((product, chance.randint(1, 2)) for product in wanted), user=chance.choice(CUSTOMERS))
    shop.order(("product-3", 1000), user="eve")
    shop.settled([shop.order(("product-3", 25), user="cleo"), shop.order(("product-1", TOO_HEAVY), user="dan")])


def shoot(page: Page, name: str) -> None:
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(
        IMAGES / f"{name}.webp", quality=SHOT_QUALITY, method=6
    )


def saga(browser: Browser, shop: Shop) -> None:
    """Of an order that was undone."""
    with window(browser, "light", SCREEN) as page:
        undone = shop.order(("product-1", TOO_HEAVY), user="frances")
        visit(page, shop.url, f"saga/{undone}")
        expect(page.locator('[data-node="OrderCancelled"][data-lit="true"]')).to_be_visible()
        page.wait_for_timeout(3_000)  # the last of the story
        shoot(page, "saga")


def break_it(browser: Browser, shop: Shop) -> None:
    """Of a service that was killed under traffic, and of another one that stood still."""
    with window(browser, "dark", SCREEN) as page:
        visit(page, shop.url, "faults")
        page.get_by_role("button", name="5/s").click()
        page.wait_for_timeout(30_000)  # something to be disturbed
        page.get_by_role("button", name="Kill inventory after its commit").click()
        expect(page.get_by_text(re.compile("inventory (is back after|was restarted)")).first).to_be_visible()
        page.wait_for_timeout(12_000)
        page.get_by_role("button", name="Stall shipping for 5 s").click()
        page.wait_for_timeout(13_000)  # its end, and the toast's
        page.mouse.move(0, 0)
        shoot(page, "break-it")


def film(browser: Browser, shop: Shop) -> None:
    """An order that is undone, from the form to the saga's diagram, and a kill under traffic."""
    with window(browser, "light", SCREEN) as page:
        visit(page, shop.url, "")
        shown = Film(page)
        shown.roll(1)
        page.get_by_role("textbox", name="Quantity of Premium Widget").fill(str(TOO_HEAVY))
        page.get_by_label("Customer").fill("linus")
        shown.roll(1.2)
        page.get_by_role("button", name="Place order").click()
        shown.roll(2.5)
        page.get_by_role("link", name="Show the saga").click()
        last = page.locator('[data-node="OrderCancelled"][data-lit="true"]')
        shown.roll(until=lambda: last.count() == 1)
        shown.roll(1.5)
        page.get_by_role("link", name="Break it").click()
        shown.roll(0.5)
        page.get_by_role("button", name="20/s").click()
        shown.roll(4)
        page.get_by_role("button", name="Kill inventory after its commit").click()
        shown.roll(8)
        shown.save(IMAGES / "console.webp")


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running(Path(home)) as shop, chromium() as browser:
        fill(shop)
        for take in (saga, film, break_it):
            take(browser, shop)
    for picture in sorted(IMAGES.glob("*.webp")):
        print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
