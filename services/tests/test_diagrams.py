"""The documents that are made from the code are what the code makes."""

from services import diagrams


def test_the_saga_document_is_up_to_date() -> None:
    assert diagrams.FILE.read_text() == diagrams.document(), "run python -m services.diagrams"


def test_a_watched_status_never_goes_back_in_the_diagram() -> None:
    order = ["PENDING", "AWAITING_PAYMENT", "AWAITING_SHIPMENT", "COMPENSATING", "COMPLETED", "CANCELLED"]
    edges = [line.partition(":")[0].split(" --> ") for line in diagrams.states()]
    steps = [(before, after) for before, after in edges if "[*]" not in (before, after)]
    assert all(order.index(before) < order.index(after) for before, after in steps)
    assert ("COMPENSATING", "COMPLETED") not in steps
