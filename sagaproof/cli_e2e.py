"""`sagaproof e2e`: the end-to-end suite on whichever substrate, as `pytest e2e` runs it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from sagaproof.errors import CommandError

PANEL = "Run"
ROOT = Path(__file__).resolve().parent.parent
app = typer.Typer()
Several = list[str] | None


@app.command(rich_help_panel=PANEL, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def e2e(
    context: typer.Context,
    substrate: Annotated[
        Several, typer.Option(help="simulated, local, compose, kubernetes; may be given twice.", show_default=False)
    ] = None,
    mode: Annotated[
        Several, typer.Option(help="choreographed, orchestrated; both, if none is given.", show_default=False)
    ] = None,
    seed: Annotated[str, typer.Option(help="Of what is drawn; another one each time.", show_default=False)] = "",
    report_dir: Annotated[
        Path | None, typer.Option(help="Where the report and what belongs to failures go.", show_default=False)
    ] = None,
) -> None:
    """Run the end-to-end suite with its faults, and leave a report. Other options are pytest's own.

    \b
    sagaproof e2e --substrate local --mode orchestrated --seed 7
    sagaproof e2e --substrate kubernetes --report-dir reports -k killed
    """
    if find_spec("pytest") is None:
        raise CommandError("the suite's packages are not here: make setup-dev installs them")
    options = [("--substrate", each) for each in substrate or []] + [("--mode", each) for each in mode or []]
    options += [("--seed", seed)] if seed else []
    options += [("--report-dir", str(report_dir))] if report_dir else []
    given = [part for option in options for part in option]
    command = [sys.executable, "-m", "pytest", "e2e", "-m", "e2e", *given, *context.args]
    raise typer.Exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
