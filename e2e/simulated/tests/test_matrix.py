"""The matrix: every row of the saga table x every crash point x both modes.

In each cell the row's participant is killed while it handles the row's message, in a shop where several orders go the
same way, and no check finds anything.
"""

from typing import get_args

import pytest

from e2e.simulated.scenario import KillAt, Order, Scenario
from e2e.simulated.tests.shops import MODES, kills, right
from services.engine.faults import Point
from services.saga import ORCHESTRATED, SAGA, Mode, Row, full_name

SEEDS = 100
"""Of which one must lead to the cell: some rows need a race that goes one way."""

COMPLETED = Order("ann", {"product-1": 2})
OUT_OF_STOCK = Order("ann", {"product-3": 26})
TOO_POOR = Order("ann", {"product-3": 20})
TOO_LARGE = Order("ann", {"product-1": 21})
CANCELLED = Order("ann", {"product-1": 2}, cancel_after_ms=0)
WAYS = {
    "InventoryRejected": OUT_OF_STOCK,
    "OrderCancelled": OUT_OF_STOCK,
    "PaymentFailed": TOO_POOR,
    "InventoryReleased": TOO_POOR,
    "ShipmentFailed": TOO_LARGE,
    "PaymentRefunded": TOO_LARGE,
    "OrderCancellationRequested": CANCELLED,
    "CancellationRefused": CANCELLED,
}
"""Event of a row -> an order in which it comes; in all others, one that completes."""
USERS = ("ann", "bob", "cleo")


def scenario(row: Row, point: Point, mode: Mode) -> Scenario:
    """Three orders that come to the row, and who is killed there."""
    order = WAYS.get(row.event.DESCRIPTOR.name, COMPLETED)
    orders = [Order(user, order.items, n * 10, order.cancel_after_ms) for n, user in enumerate(USERS)]
    commanded = mode == "orchestrated" and row.participant in ORCHESTRATED
    message_type = full_name(row.command if commanded else row.event)
    return Scenario(mode=mode, orders=orders, faults=[KillAt(row.participant, point, type=message_type)])


def name(row: Row) -> str:
    return f"{row.participant}-{row.event.DESCRIPTOR.name}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", get_args(Point))
@pytest.mark.parametrize("row", SAGA, ids=name)
def test_a_kill_at_any_point_of_any_row_does_no_harm(row: Row, point: Point, mode: Mode) -> None:
    killing = scenario(row, point, mode)
    assert any(kills(right(killing, seed), row.participant) for seed in range(SEEDS)), "the cell was not reached"
