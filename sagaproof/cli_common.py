# ruff: noqa: PLC0415
"""What the commands share: their common options, and the ways to the gateway and to the terminal."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.text import Text

    from sagaproof.client import Gateway

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="SAGAPROOF_URL", help="The gateway; by default the one that runs on this machine."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def gateway_at(url: str | None) -> "Gateway":
    from sagaproof.client import Gateway
    from sagaproof.running import places

    return Gateway(url or places().url)


def console() -> "Console":
    from sagaproof import show

    return show.console()


def print_lines(lines: "Iterable[Text]") -> None:
    where = console()
    for line in lines:
        where.print(line, soft_wrap=True)


def complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
