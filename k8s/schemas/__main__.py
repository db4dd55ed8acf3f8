"""Takes CustomResourceDefinitions over: `python -m k8s.schemas FILE.yaml...`, without what only readers need."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from k8s.schemas import HERE


def without_descriptions(node: Any) -> Any:
    """A description is text; a property of that name is a mapping, and stays."""
    if isinstance(node, dict):
        return {
            key: without_descriptions(each)
            for key, each in cast("dict[str, Any]", node).items()
            if not (key in {"description", "example"} and not isinstance(each, dict))
        }
    if isinstance(node, list):
        return [without_descriptions(each) for each in cast("list[Any]", node)]
    return node


def main(paths: Sequence[str]) -> None:
    for path in paths:
        definition = yaml.safe_load(Path(path).read_text())
        spec = {**definition["spec"], "versions": [each for each in definition["spec"]["versions"] if each["served"]]}
        spec.pop("conversion", None)
        name = definition["metadata"]["name"]
        kept = {
            "apiVersion": definition["apiVersion"],
            "kind": definition["kind"],
            "metadata": {"name": name},
            "spec": without_descriptions(spec),
        }
        (HERE / f"{name}.json").write_text(json.dumps(kept, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
