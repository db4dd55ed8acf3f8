"""`sagaproof check --compose` and `explain --compose`: Docker says where the shop is, and it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e import live
from e2e.checks import CHECKS
from e2e.substrates import choice
from e2e.substrates.choice import Choice
from sagaproof import composed
from sagaproof.cli import main

if TYPE_CHECKING:
    from e2e.substrates.deployed import Deployed

REST_WITHIN_S = 60.0
DEADLINE_S = 30.0

pytestmark = [pytest.mark.e2e, pytest.mark.prove, pytest.mark.only_on("compose")]


@pytest.fixture(scope="module")
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Beside any other of Compose; COMPOSE_PROJECT_NAME names it as long as it runs."""
    from e2e.substrates.deployed import Deployed  # noqa: PLC0415

    home: Path = tmp_path_factory.mktemp("compose")
    with choice.site(Choice("compose", choice.modes(request.config)[0]), home) as site:
        shop = Deployed(site)
        yield shop
        shop.close()


def test_a_shop_of_compose_is_found_checked_and_one_of_its_orders_explained(deployed: Deployed) -> None:
    from e2e.substrates.substrate import Order  # noqa: PLC0415

    order_id = deployed.place(Order({"product-1": 1}))
    assert deployed.ending(order_id).status == "COMPLETED"
    shop = composed.addresses()
    assert shop == deployed.addresses()
    verdict = live.check(shop, rest_within_s=REST_WITHIN_S, deadline_s=DEADLINE_S, tell=print)
    assert (verdict.orders, verdict.counts) == (1, dict.fromkeys(CHECKS, 0))
    story = live.explain(shop, order_id, deadline_s=DEADLINE_S)
    assert f"order {order_id}: COMPLETED" in story
    assert live.explain(shop, "another", deadline_s=DEADLINE_S) == ""


def test_a_shop_that_is_in_part_away_is_neither_right_nor_wrong(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    with deployed.stopped("payment"), pytest.raises(SystemExit) as ended:
        main(["check", "--compose", "--json"])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "payment" in said.err
