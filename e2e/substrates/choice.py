"""Which substrates a run of pytest is on: its options, what scenarios are parametrized with, and which of them are run.

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
from typing import Any, NamedTuple, get_args

import pytest

from e2e.shop import VARIANTS
from e2e.substrates import local
from e2e.substrates.site import Site
from e2e.substrates.substrate import CAPABILITIES, Capability, Substrate
from services.saga import Mode

SUBSTRATES = ("simulated", "local", "compose", "kubernetes")
DEFAULT = ("simulated", "local")
MODES: tuple[Mode, ...] = get_args(Mode)
SEEDS = 10_000


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


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("scenarios", "what the scenarios in e2e run on")
    group.addoption(
        "--substrate",
        action="append",
        choices=SUBSTRATES,
        help="simulated: in this process, with a clock of its own. local: processes and a real Kafka. compose: "
        "containers. kubernetes: the cluster of the current context. May be given more than once, and then nothing "
        f"else in e2e is run. Default: {' and '.join(DEFAULT)}, and everything else in e2e",
    )
    group.addoption("--mode", action="append", choices=MODES, help="of the saga; may be given twice. Default: both")
    group.addoption(
        "--seed",
        type=int,
        help="of all that is drawn: orders, victims, the moments of a simulation, which cases a short run takes. "
        "Default: another one each time; it is printed",
    )


def settle(config: pytest.Config) -> None:
    """Draws the seed where none is given. Processes that run tests side by side are given the same one."""
    if config.option.seed is None:
        config.option.seed = random.randrange(SEEDS)


def header(config: pytest.Config) -> str:
    return f"scenarios: on {', '.join(substrates(config))}; {', '.join(modes(config))}; --seed {config.option.seed}"


def substrates(config: pytest.Config) -> Sequence[str]:
    return tuple(dict.fromkeys(config.option.substrate or DEFAULT))


def modes(config: pytest.Config) -> Sequence[Mode]:
    return tuple(dict.fromkeys(config.option.mode or MODES))


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
        drawn = random.Random(f"{seed}/{name}").sample(each, min(count, len(each)))
        for item in each:
            if item not in drawn:
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
