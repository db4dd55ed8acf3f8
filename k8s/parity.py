"""`python -m k8s.parity`: where kind and EKS differ, and the reason why they may; exit code 1 where there is none.

What is tried on kind says something of EKS only as far as both are the same. k8s/parity.toml has the reasons. One that
no difference needs any more is an error too.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, cast

from k8s.rendering import Manifest, name_of, rendered

SIDES = ("kind", "eks")
REASONS = Path(__file__).resolve().parent / "parity.toml"
ABSENT = "-"
SHOWN = 48
"""Characters of a value that are shown."""


class Difference(NamedTuple):
    """`where`: Kind/name. `path`: in it, with the names of list items; '' for a manifest that one side alone has."""

    where: str
    path: str
    kind: str
    eks: str


class Reason(NamedTuple):
    """Why what matches, `*` for anything, may differ."""

    where: str
    path: str
    why: str

    def fits(self, difference: Difference) -> bool:
        return fnmatchcase(difference.where, self.where) and fnmatchcase(difference.path, self.path)


def reasons() -> list[Reason]:
    table = tomllib.loads(REASONS.read_text())
    return [Reason(each["where"], each.get("path", ""), each["why"]) for each in table["allowed"]]


def differences(kind: Sequence[Manifest], eks: Sequence[Manifest]) -> Iterator[Difference]:
    """In the order of their names."""
    left, right = _by_name(kind), _by_name(eks)
    for where in sorted({*left, *right}):
        if where not in left or where not in right:
            there, absent = "there", ABSENT
            yield Difference(where, "", there if where in left else absent, there if where in right else absent)
            continue
        ours, theirs = dict(_flat(left[where])), dict(_flat(right[where]))
        for path in sorted({*ours, *theirs}):
            if ours.get(path, ABSENT) != theirs.get(path, ABSENT):
                yield Difference(where, path, ours.get(path, ABSENT), theirs.get(path, ABSENT))


def judged(
    found: Sequence[Difference], allowed: Sequence[Reason]
) -> tuple[list[tuple[Difference, str]], list[Difference], list[Reason]]:
    """What has a reason, what has none, and the reasons that nothing needs."""
    explained: list[tuple[Difference, str]] = []
    unexplained: list[Difference] = []
    for each in found:
        why = next((reason.why for reason in allowed if reason.fits(each)), None)
        if why is None:
            unexplained.append(each)
        else:
            explained.append((each, why))
    return explained, unexplained, [reason for reason in allowed if not any(map(reason.fits, found))]


def _by_name(manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    """Names of ConfigMaps end in a hash of what is in them, which is compared anyhow."""
    hashed = {
        each["metadata"]["name"]: re.sub(r"-[0-9a-z]{10}$", "", each["metadata"]["name"])
        for each in manifests
        if each["kind"] == "ConfigMap"
    }
    plain = [cast("Manifest", _renamed(each, hashed)) for each in manifests]
    return {name_of(each): each for each in plain}


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _renamed(each, names) for key, each in cast("dict[str, Any]", node).items()}
    if isinstance(node, list):
        return [_renamed(each, names) for each in cast("list[Any]", node)]
    return names.get(node, node) if isinstance(node, str) else node


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf by its path."""
    if isinstance(node, dict) and node:
        for key, each in cast("dict[str, Any]", node).items():
            yield from _flat(each, f"{path}.{key}" if path else key)
    elif isinstance(node, list) and node:
        for n, each in enumerate(cast("list[Any]", node)):
            named = cast("dict[str, Any]", each).get("name", n) if isinstance(each, dict) else n
            yield from _flat(each, f"{path}[{named}]")
    else:
        yield path, str(cast("object", node))


def main() -> int:
    kind, eks = map(rendered, SIDES)
    explained, unexplained, unused = judged(list(differences(kind, eks)), reasons())
    for each, why in explained:
        print(f"{each.where} {each.path}: {each.kind[:SHOWN]} | {each.eks[:SHOWN]}  ({why})")
    print(f"{len(explained)} differences with a reason, {len(unexplained)} without")
    for each in unexplained:
        print(f"no reason: {each.where} {each.path}: {each.kind[:SHOWN]} | {each.eks[:SHOWN]}", file=sys.stderr)
    for reason in unused:
        print(f"needless reason: {reason.where} {reason.path}: {reason.why}", file=sys.stderr)
    return 1 if unexplained or unused else 0


if __name__ == "__main__":
    sys.exit(main())
