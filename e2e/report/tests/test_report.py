"""A run leaves its page, its JUnit file and a folder for each failure, also where workers run the tests."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from e2e.checks import CHECKS, check
from e2e.checks.tests.shop import LATE, NO_FUNDS, right_history
from e2e.explain import explain
from e2e.history import History
from e2e.report.__main__ import main
from e2e.report.summary import LINES_MAX, POINTS_MAX, SAMPLE_MAX, summary
from e2e.report.tests import samples

ROOT = Path(__file__).parents[3]
WITHIN_S = 280
"""On a machine that is busy with other things: it is some 10 s of work."""
pytestmark = pytest.mark.timeout(WITHIN_S + 20)
FAILED = "test_a_shop_whose_stock_never_came_back"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a run of the samples said, and what it has left."""
    folder = tmp_path_factory.mktemp("run") / "reports"
    options = ["-n", "1", "--report-dir", str(folder), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(samples.__file__), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout, folder


class Page(HTMLParser):
    """Its text, what it wants from elsewhere, and whether its elements are closed in order."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.wants: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.wants += [value for name in ("src", "href") if (value := named.get(name))]
        self.ids |= {value for value in [named.get("id")] if value}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""


def test_the_page_shows_what_ran_and_needs_nothing_from_elsewhere(run: tuple[str, Path]) -> None:
    _, folder = run
    source = (folder / "index.html").read_text()
    page = Page(source)

    assert page.open == []
    assert "Failed: 2 of 4 tests" in page.text
    assert "needs a cluster" in page.text
    assert "<b>no markup</b>" in page.text
    for name in CHECKS:
        assert page.text.count(f"{name}: ") >= 2, name
    assert "its reservation still holds 40 x product-1" in page.text
    assert "kill of kafka" in page.text
    assert "<script" not in source
    assert all(want.startswith(("#", "failures/")) for want in page.wants)
    assert all(want[1:] in page.ids for want in page.wants if want.startswith("#"))
    assert all((folder / want).exists() for want in page.wants if want.startswith("failures/"))
    assert source.count('role="img"') == 4


def test_what_is_wrong_comes_first(run: tuple[str, Path]) -> None:
    page = (run[1] / "index.html").read_text()

    shops = re.findall(r'<details class="shop.*?<h3>(.*?)</h3>', page, re.DOTALL)
    orders = re.findall(r'<details class="order" open>.*?<code>(.*?)</code>', page, re.DOTALL)

    assert shops == ["a shop whose stock never came back", "a shop in which all is right"]
    assert orders[0] == NO_FUNDS


def test_the_junit_file_has_every_test(run: tuple[str, Path]) -> None:
    suite = next(iter(ElementTree.parse(run[1] / "junit.xml").getroot()))  # noqa: S314 our own

    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")


def test_a_failure_names_the_folder_with_what_is_left(
    run: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said, folder = run
    (bundle,) = (folder / "failures").iterdir()

    assert bundle.name in said
    assert f"samples.py::{FAILED}" in (bundle / "reproduce.txt").read_text()
    assert "its reservation still holds" in (bundle / "failure.txt").read_text()
    lines = (bundle / "topics" / "orders.jsonl").read_bytes().splitlines()
    assert any(msgspec.json.decode(line)["body"]["order"]["orderId"] == NO_FUNDS for line in lines)
    assert (bundle / "stores" / "inventory.events.jsonl").exists()
    history = msgspec.json.decode((bundle / "history.json").read_bytes(), type=History)
    assert check(history)
    assert main([str(bundle / "history.json"), NO_FUNDS]) == 1
    assert capsys.readouterr().out.strip() == explain(history, NO_FUNDS).strip()


def test_a_summary_is_bounded_and_counts_what_it_leaves_out() -> None:
    history = right_history()
    late = history.accepted[LATE]
    seen = [each for each in history.observed if each.order_id == LATE]
    history.observed += [each for each in seen for _ in range(LINES_MAX)]

    found = summary(history)

    assert found.orders == 7
    assert sum(found.endings.values()) == 7
    assert found.endings["CANCELLED TIMED_OUT"] == 1
    assert len(found.points) <= POINTS_MAX + 1
    assert sum(point.accepted_per_s for point in found.points) * found.width_s == pytest.approx(7)
    assert sum(point.ended_per_s for point in found.points) * found.width_s == pytest.approx(7)
    assert len(found.stories) <= SAMPLE_MAX
    (story,) = [story for story in found.stories if story.order_id == late.order_id]
    assert len(story.steps) == LINES_MAX
    assert story.steps_left_out > LINES_MAX
    assert story.took_ms == pytest.approx(30_000, rel=0.01)
