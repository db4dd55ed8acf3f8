"""All that ever happened to a shop, whatever the tests before did to it, passes every check."""

from __future__ import annotations

import pytest

from e2e.checks import check
from e2e.recorder import Addresses, record
from e2e.shop import ENDS_WITHIN_S, VARIANTS, Shop
from sagaproof.settings import ADMIN_OFFSET
from services.topics import TOPICS

SHOWN = 20

pytestmark = [pytest.mark.e2e, pytest.mark.variants(*VARIANTS)]


def test_everything_that_happened_to_this_shop_is_right(shop: Shop, product: str) -> None:
    shop.heal()
    ours = [shop.order(item) for item in ((product, 1), (product, 21), ("product-3", 1000))]
    shop.settled(ours)
    addresses = Addresses(
        shop.kafka(),
        {service: shop.address(service) for service in shop.services},
        {service: shop.address(service, ADMIN_OFFSET) for service in shop.services},
    )
    history = record(addresses, [topic.name for topic in TOPICS], rest_within_s=ENDS_WITHIN_S)
    assert history.accepted.keys() >= set(ours)
    violations = check(history)
    assert not violations, "\n".join(map(str, violations[:SHOWN]))
