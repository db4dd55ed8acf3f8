"""One shop for all end-to-end tests; each test has products and users of its own, so that its sums are its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from e2e.shop import Shop, running
from services import catalogue

STOCK = 1000
PRICE_MINOR = 100
PRODUCTS = 200


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("shop")
    with running(home, CATALOGUE=str(write_catalogue(home)), DELIVERY_STEP_S="0.3") as shop:
        yield shop


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
def _tell_of_failures(request: pytest.FixtureRequest, shop: Shop) -> Iterator[None]:
    """Prints the ends of all logs where a test fails."""
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before:
        print(shop.logs())
