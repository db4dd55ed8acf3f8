"""Every alert is about metrics that there are, and the runbook says what to do."""

import re
from pathlib import Path

from k8s.rendering import rendered

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def rules() -> dict[str, str]:
    """Each alert and its expression."""
    (made,) = (each for each in rendered("eks") if each["kind"] == "PrometheusRule")
    return {rule["alert"]: rule["expr"] for group in made["spec"]["groups"] for rule in group["rules"]}


def test_every_alert_is_in_the_runbook_and_no_other() -> None:
    described = re.findall(r"^\| ([A-Z]\w+) \|", (DOCS / "runbook.md").read_text().split("## Alerts")[1], re.MULTILINE)
    assert sorted({*described} - {"Alert"}) == sorted(rules())


def test_every_metric_of_an_alert_exists() -> None:
    listed = re.findall(r"^\| `(sagaproof_\w+)` ", (DOCS / "observability.md").read_text(), re.MULTILINE)
    for alert, expression in rules().items():
        named = re.findall(r"sagaproof_\w+", expression)
        assert named, alert
        assert {name.removesuffix("_bucket") for name in named} <= {*listed}, alert
