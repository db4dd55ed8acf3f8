"""The simulation as a substrate: the seed decides everything, and duplicates are really there."""

from __future__ import annotations

from collections import Counter

import msgspec

from e2e.substrates.simulated import Simulated
from e2e.substrates.substrate import Order


def test_a_scenario_with_the_same_seed_leaves_the_same_history_and_with_another_seed_another() -> None:
    def bytes_of(seed: int) -> bytes:
        shop = Simulated("orchestrated", seed)
        with shop.load(lambda: Order({"product-1": 1})) as load, shop.every_event_twice():
            shop.kill("inventory", "order")
            load.wait_for(5)
        return msgspec.msgpack.encode(shop.history())

    assert bytes_of(1) == bytes_of(1)
    assert bytes_of(1) != bytes_of(2)


def test_every_event_is_on_its_topic_twice_where_that_was_wanted() -> None:
    shop = Simulated("choreographed", 1)
    with shop.every_event_twice():
        shop.ending(shop.place(Order({"product-1": 1})))
        history = shop.history()
    assert set(Counter(record.message_id for record in history.published).values()) == {2}
