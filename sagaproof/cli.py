# ruff: noqa: PLC0415
"""The `sagaproof` command: runs the shop on this machine, and is its customer, its warehouse clerk and its operator.

Exit codes: 0 fine (a cancelled order is an ending too), 1 refused or failed, 2 wrong usage. Results go to standard
output, trouble to standard error as one line that says what to do. What a command needs is imported when it is called,
so that `--help` and the light commands start fast.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sagaproof import (
    cli_bench,
    cli_check,
    cli_cluster,
    cli_dlq,
    cli_e2e,
    cli_fault,
    cli_operate,
    cli_reads,
    cli_shop,
)
from sagaproof.cli_common import Url, console, gateway_at
from sagaproof.errors import CommandError

app = typer.Typer(
    name="sagaproof",
    help="An event-driven order system on real Kafka: run it, place orders, watch them, break it, see it heal.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PANEL = "Run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (those of the process by default) ask for."""
    try:
        app(arguments, prog_name="sagaproof")
    except CommandError as error:
        print("\n  ".join([error.line, *error.details]), file=sys.stderr)
        return 1
    return 0


@app.command(rich_help_panel=PANEL)
def run(
    port: Annotated[int | None, typer.Option(help="The gateway's port: 8080, or PORT.", show_default=False)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget all orders, stock and money first.")] = False,
    postgres: Annotated[bool, typer.Option("--postgres", help="On a PostgreSQL server, which is started too.")] = False,
    replicas: Annotated[int, typer.Option(help="Processes of each service; more than one needs PostgreSQL.")] = 1,
    mode: Annotated[
        str | None, typer.Option(help="choreographed or orchestrated, also SAGA_MODE; the data fit both.")
    ] = None,
) -> None:
    """Start Kafka, all services and the gateway, and keep them running until Ctrl-C.

    \b
    sagaproof run
    sagaproof run --fresh --port 8090
    sagaproof run --postgres --replicas 2
    sagaproof run --mode orchestrated
    """
    from sagaproof import run as launcher
    from sagaproof.settings import Settings, SettingsError

    try:
        settings = Settings.from_env(port=port, fresh=fresh, postgres=postgres, replicas=replicas, mode=mode)
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(launcher.run(settings))


@app.command(rich_help_panel=PANEL)
def stop() -> None:
    """Stop what `sagaproof run` started, from another terminal."""
    from sagaproof import run as launcher
    from sagaproof.settings import state_home

    if not launcher.stop(state_home(os.environ)):
        raise CommandError("nothing runs here, so there is nothing to stop")
    print("stopped")


@app.command(rich_help_panel=PANEL)
def demo(url: Url = None) -> None:
    """Play the five endings of an order, then kill a service in the middle of one, and count stock and money.

    \b
    sagaproof demo
    """
    from sagaproof.demo import play
    from sagaproof.running import places

    with gateway_at(url) as gateway:
        play(gateway, places(), console())


app.add_typer(cli_bench.app)
app.add_typer(cli_shop.app)
app.add_typer(cli_reads.app)
app.add_typer(cli_operate.app)
app.add_typer(cli_check.app)
app.add_typer(cli_dlq.app, rich_help_panel=cli_operate.PANEL)
app.add_typer(cli_fault.app, rich_help_panel=cli_operate.PANEL)
app.add_typer(cli_cluster.app, rich_help_panel=PANEL)
app.add_typer(cli_e2e.app)
