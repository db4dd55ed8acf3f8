"""What the scenarios of a run of pytest are parametrized with, and which of them are run; by its options.

A scenario runs on every substrate and in every mode that was chosen. On a shop of processes it runs in each variant
that has what the scenario needs. Of the many cases that are on real shops, `make test` runs a few of each scenario,
drawn by the seed; the others are marked `prove`.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from e2e.shop import SAMPLE, VARIANTS
from e2e.substrates import local
from e2e.substrates.options import modes, substrates
from e2e.substrates.site import Site
from e2e.substrates.substrate import CAPABILITIES, Capability, Substrate
from services.saga import Mode


class Choice(NamedTuple):
    """What one case runs on. `variant`: of a local shop."""

    substrate: str
    mode: Mode
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.substrate}-{self.variant or self.mode}"

    @property
    def is_real(self) -> bool:
        return self.substrate != "simulated"


@contextmanager
def site(choice: Choice, home: Path) -> Generator[Site]:
    """A shop in containers or in a cluster, for the length of the block. `home` keeps what belongs to it."""
    module = import_module(f"e2e.substrates.{choice.substrate}")  # not before it is asked for: it may need more
    with module.running(choice.mode, home) as found:
        yield found


def choices(config: pytest.Config, needs: frozenset[Capability]) -> list[Choice]:
    """For a scenario that needs this."""
    found: list[Choice] = []
    for name in substrates(config):
        if name == "local":
            able = [key for key, variant in VARIANTS.items() if needs <= local.can(variant)]
            found += [Choice(name, VARIANTS[key].mode, key) for key in able if VARIANTS[key].mode in modes(config)]
        else:
            found += [Choice(name, mode) for mode in modes(config)]
    return found


def needs(node: Any) -> frozenset[Capability]:
    """What a scenario says that it needs: `pytest.mark.needs(...)`."""
    marked: frozenset[Any] = frozenset(name for marker in node.iter_markers("needs") for name in marker.args)
    unknown = marked - frozenset(CAPABILITIES)
    if unknown:
        raise pytest.UsageError(f"{node.name} needs {', '.join(unknown)}; there are {', '.join(CAPABILITIES)}")
    return marked


def skip_unless_able(substrate: Substrate, node: Any) -> None:
    for name in sorted(needs(node)):
        if name not in substrate.can:
            pytest.skip(f"{substrate.name} lacks {name!r}: {CAPABILITIES[name]}")


def choice_of(item: pytest.Item) -> Choice | None:
    """Of a scenario's case."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("substrate") if callspec else None
    return found if isinstance(found, Choice) else None


def mark(items: Iterable[pytest.Item], seed: int) -> None:
    """Whole shops, and those of them that `make test` leaves to `make prove`."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        choice = choice_of(item)
        if choice is not None and choice.is_real:
            item.add_marker(pytest.mark.e2e)
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for name, each in cases.items():
        sample = each[0].get_closest_marker("sample")
        count = sample.args[0] if sample else 1
        drawn = _drawn(each, count, random.Random(f"{seed}/{name}"))
        for item in each:
            if item not in drawn:
                item.add_marker(pytest.mark.prove)
    _mark_variants(items)


def _drawn(cases: Sequence[pytest.Item], count: int, random: random.Random) -> Sequence[pytest.Item]:
    """Among those on shops of the sample, if there are any."""
    sampled = [case for case in cases if (choice := choice_of(case)) and choice.variant in ("", *SAMPLE)] or cases
    return random.sample(sampled, min(count, len(sampled)))


def _mark_variants(items: Iterable[pytest.Item]) -> None:
    """Of a test that is in variants of the sample, those in others are left to `make prove`."""
    cases: dict[tuple[str, ...], dict[str, pytest.Item]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("shop") in VARIANTS:
            others = {name: str(value) for name, value in callspec.params.items() if name != "shop"}
            test = (item.nodeid.partition("[")[0], *others.values())
            cases.setdefault(test, {})[callspec.params["shop"]] = item
    for variants in cases.values():
        if any(name in SAMPLE for name in variants):
            for name, item in variants.items():
                if name not in SAMPLE:
                    item.add_marker(pytest.mark.prove)


def is_wanted(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether this test, of e2e, is on a substrate and in a mode that were chosen, and is of a service of that mode."""
    only = item.get_closest_marker("only_on")
    if only is not None:
        return only.args[0] in substrates(config)
    callspec = getattr(item, "callspec", None)
    choice = choice_of(item)
    if choice is not None and callspec is not None:
        return choice.mode == "orchestrated" or callspec.params.get("service") != "orchestrator"
    variant = callspec.params.get("shop") if callspec else None
    if variant is not None and VARIANTS[variant].mode not in modes(config):
        return False
    if not config.option.substrate:
        return True
    return item.get_closest_marker("e2e") is not None and "local" in config.option.substrate


def reproduce(item: pytest.Item) -> str:
    """The command that runs the same case again."""
    choice = choice_of(item)
    chosen = f" --substrate {choice.substrate} --mode {choice.mode}" if choice else ""
    return f"pytest '{item.nodeid}'{chosen} --seed {item.config.option.seed}"
