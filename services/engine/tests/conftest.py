"""What the tests of the loop share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.engine.tests.lives import Life, Place


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
