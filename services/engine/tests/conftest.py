"""What the tests of the loop share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.engine.store import Store
from services.engine.tests.lives import Life, Place
from services.engine.tests.stores import STORES, Open, end_postgres_server


@pytest.fixture(scope="session", autouse=True)
def _postgres_server() -> Iterator[None]:
    yield
    end_postgres_server()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    here = Place(tmp_path / "toy.db")
    yield here
    here.end()


@pytest.fixture
def life(place: Place) -> Life:
    """The first life at the place, which has started."""
    first = place.live()
    first.engine.start()
    return first


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Store] = []
    opening = STORES[request.param](tmp_path)

    def open_one() -> Store:
        opened.append(opening())
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Open) -> Store:
    return open_store()
