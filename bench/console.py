"""How fast the console is, in a real browser on a shop of its own: `make bench-console`.

- an event on the screen: from its record's time, which is when it was decided, just before its commit, until its row is
  in the page; and until a plain client of the same stream has it, which tells the page's share from the shop's
- the first load, by the browser's performance entries, with nothing in its cache
- a full log of 10,000 events: how long a frame takes while it is scrolled, and how many rows are in the page
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
from playwright.sync_api import Browser, Page, expect

from bench.goods import Goods
from bench.load import Spec
from bench.numbers import percentile
from bench.shop import Shop, started
from gateway.tests.browser import chromium, visit, window
from sagaproof.settings import HOST, state_home

USERS = 100
LOADS = 5
WARM_UP_S = 8
SETTLES_S = 2
"""At the beginning and the end of a load, which are not counted."""
SCROLLED_MS = 4_000
EVENTS_MAX = 10_000
ONE_TYPE = "OrderCompleted"

ROWS = """
window.seen = [];
new MutationObserver((changes) => {
  const now = performance.timeOrigin + performance.now();
  for (const change of changes)
    for (const node of change.addedNodes) {
      if (node.nodeType !== 1) continue;
      const rows = node.matches("li[data-event]") ? [node] : node.querySelectorAll("li[data-event]");
      for (const row of rows) window.seen.push([row.dataset.event, now]);
    }
}).observe(document, { childList: true, subtree: true });
"""

FIRST_PAGE = """
window.busy = [];
new PerformanceObserver((list) => window.busy.push(...list.getEntries())).observe({ type: "longtask", buffered: true });
new MutationObserver((_, observer) => {
  if (!document.querySelector("[role=meter]")) return;
  performance.mark("products");
  observer.disconnect();
}).observe(document, { childList: true, subtree: true });
"""

ENTRIES = """() => {
  const [navigation] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const [products] = performance.getEntriesByName("products");
  const files = performance
    .getEntriesByType("resource")
    .filter((each) => ["script", "link"].includes(each.initiatorType));
  const calm = Math.max(0, ...window.busy.map((task) => task.startTime + task.duration));
  return {
    paint: paint.startTime, products: products.startTime, interactive: Math.max(products.startTime, calm),
    files: 1 + files.length,
    bytes: files.reduce((sum, each) => sum + each.encodedBodySize, navigation.encodedBodySize),
  };
}"""

SCROLL = """(ms) => new Promise((resolve) => {
  const box = document.querySelector("section[tabindex]");
  const frames = [];
  let [rows, last] = [0, performance.now()];
  const end = last + ms;
  const step = (now) => {
    frames.push(now - last);
    last = now;
    box.scrollTop += 300;
    rows = Math.max(rows, document.querySelectorAll("li[data-event]").length);
    if (now < end) requestAnimationFrame(step);
    else resolve({ frames: frames.slice(1), rows });
  };
  requestAnimationFrame(step);
})"""


class Event(msgspec.Struct):
    id: str
    type: str
    time: str

    @property
    def at(self) -> float:
        """Seconds since 1970."""
        return datetime.fromisoformat(self.time).timestamp()


class Reader:
    """A plain client of the stream of events, in a thread: when each came."""

    def __init__(self, url: str) -> None:
        self.came: list[tuple[Event, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(url,))
        self._thread.start()

    def _read(self, url: str) -> None:
        decode = msgspec.json.Decoder(Event).decode
        with httpx.stream("GET", f"{url}/events/stream", timeout=30, trust_env=False) as answer:
            for line in answer.iter_lines():
                if line.startswith('data: {"id"'):
                    self.came.append((decode(line[6:]), time.time()))
                if self._stop.is_set():
                    return

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def loaded(shop: Shop, products: list[str], rate: float, seconds: float) -> Generator[subprocess.Popen[bytes]]:
    """So many orders a second are placed from now on."""
    port = int(shop.url.rpartition(":")[2])
    with tempfile.NamedTemporaryFile() as out:
        spec = Spec(HOST, port, out.name, connections=64, users=USERS, products=products, rate=rate, seconds=seconds)
        with subprocess.Popen(
            [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(spec))
            process.stdin.close()
            yield process
            process.wait(seconds + 60)


def first_loads(browser: Browser, shop: Shop) -> list[dict[str, float]]:
    found: list[dict[str, float]] = []
    for _ in range(LOADS):
        with window(browser) as page:
            page.add_init_script(FIRST_PAGE)
            page.goto(f"{shop.url}/")
            expect(page.get_by_role("meter").first).to_be_visible()
            page.wait_for_load_state("load")
            found.append(page.evaluate(ENTRIES))
    return found


def on_the_screen(
    page: Page, shop: Shop, products: list[str], rate: float, seconds: float, kind: str | None
) -> dict[str, Any]:
    """Milliseconds from an event's time, of those of one type, which alone is shown, or of all."""
    page.add_init_script(ROWS)
    visit(page, shop.url, "events")
    if kind:
        page.get_by_role("combobox", name="Type").click()
        page.get_by_role("option", name=kind).click()
    expect(page.locator('[data-connection="live"]')).to_be_visible()
    reader = Reader(shop.url)
    with loaded(shop, products, rate, seconds):
        began = time.time()
    ended, load = time.time(), os.getloadavg()[0]
    reader.end()
    seen: dict[str, float] = {}
    for event_id, at in page.evaluate("window.seen"):
        seen.setdefault(event_id, at / 1000)
    counted = [
        (event, came)
        for event, came in reader.came
        if began + SETTLES_S < event.at < ended - SETTLES_S and kind in (None, event.type)
    ]
    return {
        "read": [1000 * (came - event.at) for event, came in counted],
        "shown": [1000 * (seen[event.id] - event.at) for event, _ in counted if event.id in seen],
        "events": len(counted),
        "load": load,
    }


def scrolled(page: Page) -> dict[str, Any]:
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_test_id("count")).to_contain_text(f"of {EVENTS_MAX:,}")
    return page.evaluate(SCROLL, SCROLLED_MS)


def spread(values: Sequence[float]) -> str:
    return "  ".join(f"p{share} {percentile(values, share):.0f} ms" for share in (50, 95, 99))


def measure(shop: Shop, rate: float, seconds: float, tell: Callable[[str], None]) -> None:
    with Goods(shop.places) as goods, chromium() as browser:
        products = list(goods.products())
        goods.fill(products, int(rate * (2 * seconds + WARM_UP_S)) + 1000, USERS)
        loads = first_loads(browser, shop)
        for name in ("paint", "products", "interactive"):
            values = sorted(each[name] for each in loads)
            tell(f"first load, {name}: median {values[LOADS // 2]:.0f} ms, longest {values[-1]:.0f} ms")
        tell(f"first load: {loads[0]['bytes'] / 1000:.1f} kB in {loads[0]['files']:.0f} files of the console")
        with loaded(shop, products, rate, WARM_UP_S):
            tell(f"{rate:g} orders/s for {seconds:g} s, twice")
        for kind in (ONE_TYPE, None):
            with window(browser) as page:
                found = on_the_screen(page, shop, products, rate, seconds, kind)
                tell(f"{kind or 'all events'}: {found['events']}, of which {len(found['shown'])} were drawn")
                tell(f"  to a plain client   {spread(found['read'])}")
                tell(f"  to the screen       {spread(found['shown'])}   (load average {found['load']:.1f})")
                if kind is None:
                    frames = scrolled(page)
                    tell(f"10,000 events scrolled: a frame {spread(frames['frames'])}, {frames['rows']} rows at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=100.0, help="orders a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long, for each of two")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sagaproof-console-"))
    try:
        with started(folder / "home", state_home(os.environ) / "kafka", 1, [], {}) as (shop, _):
            measure(shop, asked.rate, asked.seconds, lambda line: print(line, flush=True))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
