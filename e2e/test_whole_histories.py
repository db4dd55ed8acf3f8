"""All that ever happened to a shop, whatever the tests before did to it, passes every check."""

from __future__ import annotations

import pytest
from shop.admin.v1 import service_pb2 as admin

from e2e.checks import check
from e2e.recorder import Addresses, record
from e2e.shop import ENDS_WITHIN_S, VARIANTS, Shop, eventually
from sagaproof.settings import ADMIN_OFFSET
from services.topics import TOPICS

SHOWN = 20

pytestmark = [pytest.mark.e2e, pytest.mark.variants(*VARIANTS)]


def at_rest(shop: Shop) -> bool:
    """Whether every order has ended and been delivered, and every service has read all that there is."""
    infos = [shop.admin(name).GetInfo(admin.GetInfoRequest(), timeout=15) for name in shop.services]
    open_orders = shop.http.get("/orders", params={"status": "OPEN"}).json()["items"]
    return not open_orders and all(info.lag == 0 for info in infos)


def test_everything_that_happened_to_this_shop_is_right(shop: Shop) -> None:
    shop.heal()
    eventually("all is at rest", lambda: at_rest(shop), ENDS_WITHIN_S)
    addresses = Addresses(
        shop.kafka(),
        {service: shop.address(service) for service in shop.services},
        {service: shop.address(service, ADMIN_OFFSET) for service in shop.services},
    )
    history = record(addresses, shop.mode, [topic.name for topic in TOPICS])
    assert len(history.accepted) > SHOWN, "the tests before have ordered more"
    violations = check(history)
    assert not violations, "\n".join(map(str, violations[:SHOWN]))
