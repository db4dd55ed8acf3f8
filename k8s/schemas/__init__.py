"""The CustomResourceDefinitions that the manifests use, one file each. README.md beside this says where they are from.

Without descriptions and conversions; they can be applied to a cluster as they are.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).resolve().parent
_KEEPS_UNKNOWN = "x-kubernetes-preserve-unknown-fields"


@cache
def definitions() -> dict[tuple[str, str], Any]:
    """The schema of each kind, by its apiVersion and kind."""
    found: dict[tuple[str, str], Any] = {}
    for path in sorted(HERE.glob("*.json")):
        spec = json.loads(path.read_text())["spec"]
        for version in spec["versions"]:
            place = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
            found[place] = _strict(version["schema"]["openAPIV3Schema"])
    return found


def _strict(schema: Any) -> Any:
    """What is not named is refused, as the API server does when it is asked to be strict."""
    if isinstance(schema, list):
        return [_strict(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(each) for key, each in cast("dict[str, Any]", schema).items()}
    if "properties" in strict and isinstance(strict["properties"], dict) and not _is_open(strict):
        strict["additionalProperties"] = False
    return strict


def _is_open(schema: dict[str, Any]) -> bool:
    """Whether more is allowed. Parts of `anyOf` and the like have no type, and name only what they are about."""
    return schema.get("type") != "object" or "additionalProperties" in schema or _KEEPS_UNKNOWN in schema
