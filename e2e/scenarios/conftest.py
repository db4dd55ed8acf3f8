"""In scenarios, the shop is whatever they run on."""

from __future__ import annotations

import pytest

from e2e.substrates.substrate import Substrate


@pytest.fixture
def shop(substrate: Substrate) -> Substrate:
    return substrate
