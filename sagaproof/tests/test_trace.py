"""Traces from logs: the spans of all processes as one tree."""

import json
from pathlib import Path

import pytest

from sagaproof.errors import CommandError
from sagaproof.logs import files
from sagaproof.trace import as_json, lines, traces


def span(ms: int, name: str, span_id: str, parent_id: str, service: str, trace: str = "t-1", **more: object) -> str:
    """A line as the processes write it."""
    said = {"message": f"span: {name}", "ms": 1.5, "trace_id": trace, "span_id": span_id, "parent_id": parent_id}
    time = f"2026-01-01T10:00:00.{ms:03}000Z"
    return json.dumps({"time": time, "level": "INFO", "service": service, **said, **more}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Logs of one order, which was cancelled later, and of another."""
    (tmp_path / "gateway.log").write_text(
        span(0, "POST /order", "a", "client", "gateway", order_id="o-1")
        + span(900, "POST /order/{orderId}/cancel", "x", "", "gateway", trace="t-2", order_id="o-1")
        + span(920, "GET /status/{orderId}", "y", "", "gateway", trace="t-4", **{"url.path": "/status/o-1"})
        + span(950, "POST /order", "z", "", "gateway", trace="t-3", order_id="o-2")
    )
    (tmp_path / "payment.log").write_text(span(40, "process InventoryConfirmed", "d", "c", "payment", order_id="o-1"))
    (tmp_path / "order.log").write_text(
        span(10, "send OrderCreated", "c", "b", "order") + span(5, "PlaceOrder", "b", "a", "order", order_id="o-1")
    )
    return tmp_path


def test_the_traces_of_an_order_are_trees_over_all_processes(folder: Path) -> None:
    placed, cancelled = traces(files(folder, []), "o-1")
    assert [(span.depth, span.service, span.name) for span in placed] == [
        (0, "gateway", "POST /order"),
        (1, "order", "PlaceOrder"),
        (2, "order", "send OrderCreated"),
        (3, "payment", "process InventoryConfirmed"),
    ]
    assert [span.name for span in cancelled] == ["POST /order/{orderId}/cancel"]
    assert [line.plain for line in lines(placed)][:3] == [
        "trace t-1",
        "       0 ms      1.5 ms  gateway       POST /order",
        "       5 ms      1.5 ms  order           PlaceOrder",
    ]
    assert json.loads(as_json([placed]))[0][3]["parent_id"] == "c"


def test_what_lost_its_parent_begins_a_tree(folder: Path) -> None:
    (folder / "order.log").write_text(span(5, "PlaceOrder", "b", "a", "order", order_id="o-1"))
    placed, _ = traces(files(folder, []), "o-1")
    assert [(span.depth, span.name) for span in placed] == [
        (0, "POST /order"),
        (1, "PlaceOrder"),
        (0, "process InventoryConfirmed"),
    ]


def test_without_spans_it_is_said_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "order.log").write_text('{"time":"2026-01-01T10:00:00Z","message":"handled"}\n')
    with pytest.raises(CommandError, match="OTEL_TRACES_EXPORTER=console"):
        traces(files(tmp_path, []), "o-1")
