"""The whole matrix: in no cell does any check find anything."""

import pytest

from e2e.checks import check
from e2e.simulated.cells import CELLS, MODES, POINTS, Cell, histories, struck
from services.saga import SAGA


def test_the_matrix_has_every_row_every_point_and_both_modes() -> None:
    assert len(set(map(str, CELLS))) == len(SAGA) * len(POINTS) * len(MODES) >= 200


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_kill_at_any_point_of_any_row_does_no_harm(cell: Cell) -> None:
    history = None
    for seed, history in histories(cell):
        violations = check(history)
        assert not violations, "\n".join([f"seed {seed}", *map(str, violations)])
    assert history is not None
    assert struck(cell, history), "the cell was not reached"
