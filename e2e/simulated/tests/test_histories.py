"""Drawn histories: whatever customers and faults do, in whatever order things happen, no check finds anything."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e.simulated.drawn import draw
from e2e.simulated.scenario import Scenario
from e2e.simulated.strategies import scenarios, seeds
from e2e.simulated.tests.shops import MODES, right
from services.saga import Mode

EXAMPLES = 100
"""That Hypothesis draws, and shrinks if one of them fails."""
CHUNK, CHUNKS = 100, 10
"""Histories by their seeds, and groups of them that can run side by side, in each mode."""
ORDERS = 20


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first", range(0, CHUNK * CHUNKS, CHUNK))
def test_nothing_is_wrong_in_the_histories_of_these_seeds(mode: Mode, first: int) -> None:
    for seed in range(first, first + CHUNK):
        right(draw(random.Random(seed), mode, ORDERS), seed)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(MODES).flatmap(scenarios), seeds())
def test_nothing_is_wrong_in_any_history_that_can_be_drawn(scenario: Scenario, seed: int) -> None:
    right(scenario, seed)
