"""Records that cannot be handled, of every kind."""

from __future__ import annotations

import pytest

from e2e.scenarios.orders import COMPLETED, FINE, Draw
from e2e.substrates.poison import EVENTS, KINDS, Kind
from e2e.substrates.substrate import Substrate


@pytest.mark.sample(2)
@pytest.mark.needs("poison")
@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_record_is_a_dead_letter_of_all_who_need_it_and_holds_nobody_up(
    shop: Substrate, draw: Draw, kind: Kind
) -> None:
    order_id = shop.place(FINE)
    assert shop.ending(order_id) == COMPLETED
    shop.poison(kind, draw.choice(list(EVENTS)), order_id)
    assert shop.ending(shop.place(FINE)) == COMPLETED
