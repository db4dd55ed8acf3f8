"""One shop for all end-to-end tests; each test has products and users of its own, so that its sums are its own.

There are several ways to run a shop, the variants. Tests run in the default one, those that are marked `variants(...)`
in all that are named there, one variant after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import msgspec
import pytest

from e2e.shop import DEFAULT, VARIANTS, Shop, running
from services import catalogue

STOCK = 1000
PRICE_MINOR = 100
PRODUCTS = 400
TEST_WITHIN_S = 300
"""More than elsewhere: on a busy machine a shop takes up to `START_WITHIN_S` to start, and some tests start two."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.timeout(TEST_WITHIN_S))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shop" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("variants")
        metafunc.parametrize("shop", marker.args if marker else [DEFAULT], indirect=True)


class _Running:
    """The shop that runs at the moment: one at a time, and none for longer than tests want it."""

    variant = ""
    shop: Shop
    _end = ExitStack()

    def start(self, variant: str, home: Path) -> None:
        environment = {"CATALOGUE": str(write_catalogue(home)), "DELIVERY_STEP_S": "0.3"}
        self.shop = self._end.enter_context(running(home, VARIANTS[variant], **environment))
        self.variant = variant

    def end(self) -> None:
        self.variant = ""
        self._end.close()


_running = _Running()


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop of this variant, which tests that follow each other share."""
    if _running.variant != request.param:
        _running.end()
        _running.start(request.param, tmp_path_factory.mktemp("shop"))
    return _running.shop


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Ends a shop that the next test does not want."""
    callspec = getattr(nextitem, "callspec", None)
    if _running.variant and (callspec is None or callspec.params.get("shop") != _running.variant):
        _running.end()


def write_catalogue(home: Path) -> Path:
    """Our catalogue, and many products more that cost little."""
    ours = msgspec.json.decode(catalogue.DEFAULT.read_bytes(), type=list[catalogue.Product])
    more = [catalogue.Product(f"test-{n}", f"Test {n}", PRICE_MINOR, "USD", STOCK) for n in range(PRODUCTS)]
    path = home / "catalogue.json"
    path.write_bytes(msgspec.json.encode([*ours, *more]))
    return path


_products = count()


@pytest.fixture
def product() -> str:
    """A product that no other test orders: `STOCK` pieces at `PRICE_MINOR`."""
    return f"test-{next(_products)}"


@pytest.fixture(autouse=True)
def _tell_of_failures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prints the ends of all logs where a test fails."""
    shop: Shop | None = request.getfixturevalue("shop") if "shop" in request.fixturenames else None
    failed_before = request.session.testsfailed
    yield
    if shop is not None and request.session.testsfailed > failed_before:
        print(shop.logs())
