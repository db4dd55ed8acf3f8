"""The open sagas: from the sums that status keeps for the dashboard, so that nobody has to count orders."""

from collections.abc import Iterable

from services.engine.scrape import StateGauge
from services.status.figures import FiguresState


def open_sagas(figures: Iterable[FiguresState]) -> int:
    """Accepted and not ended, as far as status has seen. An ending may be seen first: then it is short of one."""
    return max(0, sum(each.accepted - each.completed - each.cancelled for each in figures))


OPEN = StateGauge(
    "sagaproof_sagas_open", "Orders that were accepted and have not ended, as status knows.", FiguresState, open_sagas
)
