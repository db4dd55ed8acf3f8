"""A read model of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.status.tests.model import Model


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    made = Model(tmp_path)
    yield made
    made.close()
