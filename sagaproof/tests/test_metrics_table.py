"""The metrics in the docs are those that there are, and follow Prometheus' conventions."""

import re
import tomllib
from pathlib import Path

import gateway
import services
from sagaproof import metrics_table

ROOT = Path(__file__).resolve().parent.parent.parent
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) \| (.+) \|$", re.MULTILINE)


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    document = metrics_table.DOCUMENT.read_text()
    assert document == metrics_table.written(document), "make it anew: .venv/bin/python -m sagaproof.metrics_table"


def test_names_and_help_texts_follow_the_conventions() -> None:
    rows = _ROW.findall(metrics_table.table())
    assert len(rows) > 30
    for name, kind, _, documentation in rows:
        assert name.startswith("sagaproof_"), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert documentation.endswith("."), name
        if name.endswith("_seconds"):
            assert "seconds" in documentation, f"{name} says its unit"


def test_every_process_tells_the_same_version() -> None:
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert services.__version__ == gateway.__version__ == given
