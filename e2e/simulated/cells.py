"""The matrix: every row of the saga table x every crash point x both modes, a cell each.

In a cell the row's participant is killed while it handles the row's message, in a shop where three orders go the same
way.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, get_args

from e2e.history import History
from e2e.simulated.run import simulate
from e2e.simulated.scenario import KillAt, Order, Scenario
from services.engine.faults import Point
from services.saga import ORCHESTRATED, SAGA, Mode, Row, full_name

SEEDS = 100
"""Of which one must lead to the cell: some rows need a race that goes one way."""
COMPLETED = Order("ann", {"product-1": 2})
OUT_OF_STOCK = Order("ann", {"product-3": 26})
TOO_POOR = Order("ann", {"product-3": 20})
TOO_LARGE = Order("ann", {"product-1": 21})
CANCELLED = Order("ann", {"product-1": 2}, cancel_after_ms=0)
WAYS: Mapping[str, Order] = {
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
POINTS: tuple[Point, ...] = get_args(Point)
MODES: tuple[Mode, ...] = get_args(Mode)


class Cell(NamedTuple):
    row: Row
    point: Point
    mode: Mode

    @property
    def row_name(self) -> str:
        return f"{self.row.participant}-{self.row.event.DESCRIPTOR.name}"

    def __str__(self) -> str:
        return f"{self.row_name}-{self.point}-{self.mode}"


CELLS = [Cell(row, point, mode) for row in SAGA for point in POINTS for mode in MODES]


def scenario(cell: Cell) -> Scenario:
    """Three orders that come to the row, and who is killed there."""
    row = cell.row
    order = WAYS.get(row.event.DESCRIPTOR.name, COMPLETED)
    orders = [Order(user, order.items, n * 10, order.cancel_after_ms) for n, user in enumerate(USERS)]
    commanded = cell.mode == "orchestrated" and row.participant in ORCHESTRATED
    message_type = full_name(row.command if commanded else row.event)
    return Scenario(mode=cell.mode, orders=orders, faults=[KillAt(row.participant, cell.point, type=message_type)])


def histories(cell: Cell) -> Iterator[tuple[int, History]]:
    """With their seeds; the last one is one in which the kill has struck, if any of `SEEDS` leads there."""
    killing = scenario(cell)
    for seed in range(SEEDS):
        history = simulate(killing, seed)
        yield seed, history
        if struck(cell, history):
            return


def struck(cell: Cell, history: History) -> bool:
    return any(fault.kind == "kill" and fault.target == cell.row.participant for fault in history.faults)
