"""All metrics as a table, made from them: `.venv/bin/python -m sagaproof.metrics_table` writes it into the docs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import GaugeMetricFamily

from gateway.metrics import Metrics
from services.engine import metrics as engine
from services.engine import scrape
from services.order import metrics as order
from services.status.metrics import OPEN

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "observability.md"
BEGIN, END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"


def table() -> str:
    """A section for each kind of process, a row for each metric."""
    sections = {
        "Every service": [*_collectors(vars(engine)), *_collectors(vars(scrape)), *scrape.families()],
        "Order, besides": _collectors(vars(order)),
        "Status, besides": [GaugeMetricFamily(OPEN.name, OPEN.documentation)],
        "The gateway": _collectors(vars(Metrics())),
    }
    return "\n".join(f"\n### {title}\n\n{_rows(metrics)}" for title, metrics in sections.items()) + "\n"


def written(document: str) -> str:
    """The document with the table of now in its place."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def _collectors(namespace: Mapping[str, Any]) -> list[Any]:
    return [each for each in namespace.values() if isinstance(each, MetricWrapperBase | engine.LoopHistogram)]


def _rows(metrics: Iterable[Any]) -> str:
    head = "| Name | Type | Labels | What |\n|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in sorted(map(_row, metrics)))


def _row(metric: Any) -> tuple[str, str, str, str]:
    if isinstance(metric, engine.LoopHistogram):
        return f"`{metric.name}`", "histogram", metric.label, metric.documentation
    family: Any = next(iter(metric.describe())) if isinstance(metric, MetricWrapperBase) else metric
    suffix = "_total" if family.type == "counter" else ""
    labels: Iterable[str] = getattr(metric, "_labelnames")  # noqa: B009 not public, and nowhere else
    return f"`{family.name}{suffix}`", family.type, ", ".join(labels), family.documentation


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
