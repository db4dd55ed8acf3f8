"""What pytest can be told of scenarios: on which substrates, in which modes, with which seed.

A plugin of every run, which is why it imports little.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from sagaproof.settings import SAGA_MODES

SUBSTRATES = ("simulated", "local", "compose", "kubernetes")
DEFAULT = ("simulated", "local")
SEEDS = 10_000


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("scenarios", "what the scenarios in e2e run on")
    group.addoption(
        "--substrate",
        action="append",
        choices=SUBSTRATES,
        help="simulated: in this process, with a clock of its own. local: processes and a real Kafka. compose: "
        "containers. kubernetes: the cluster of the current context. May be given more than once, and then nothing "
        f"else in e2e is run. Default: {' and '.join(DEFAULT)}, and everything else in e2e",
    )
    group.addoption(
        "--mode", action="append", choices=SAGA_MODES, help="of the saga; may be given twice. Default: both"
    )
    group.addoption(
        "--seed",
        type=int,
        help="of all that is drawn: orders, victims, the moments of a simulation, which cases a short run takes. "
        "Default: another one each time; it is printed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Draws the seed where none is given. Processes that run tests side by side are given the same one."""
    if config.option.seed is None:
        config.option.seed = random.randrange(SEEDS)


def pytest_report_header(config: pytest.Config) -> str:
    return f"scenarios: on {', '.join(substrates(config))}; {', '.join(modes(config))}; --seed {config.option.seed}"


def substrates(config: pytest.Config) -> Sequence[str]:
    return tuple(dict.fromkeys(config.option.substrate or DEFAULT))


def modes(config: pytest.Config) -> Sequence[Any]:
    return tuple(dict.fromkeys(config.option.mode or SAGA_MODES))
