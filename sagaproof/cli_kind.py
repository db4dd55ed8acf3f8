# ruff: noqa: PLC0415
"""`sagaproof cluster create` and what belongs to it: a Kubernetes of one's own by kind. See docs/kubernetes.md."""

from pathlib import Path
from typing import Annotated

import typer

from sagaproof.errors import CommandError

app = typer.Typer()


@app.command()
def create(
    preload: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Archives of images (docker save), loaded before anything is pulled."
        ),
    ] = None,
    node_image: Annotated[
        str, typer.Option(help="kind's node; else the one that its version names.", show_default=False)
    ] = "",
    strimzi: Annotated[
        str, typer.Option(help="File or address of the operator's manifest; else Strimzi's own.", show_default=False)
    ] = "",
    build: Annotated[bool, typer.Option("--build/--no-build", help="Build the shop's images here.")] = True,
) -> None:
    """A Kubernetes by kind, with the shop's images and Strimzi in it: ready for `sagaproof cluster up kind`.

    \b
    sagaproof cluster create
    sagaproof cluster create --preload archives/ --strimzi strimzi.yaml
    """
    from sagaproof import kind

    if missing := kind.lacks():
        raise CommandError("this machine cannot hold a cluster", missing)
    kind.create(preload=preload, node_image=node_image, strimzi=strimzi or kind.STRIMZI, build=build)
    print("there is a cluster; next: sagaproof cluster up kind")


@app.command()
def delete() -> None:
    """Remove the cluster that `create` has made, with all that is in it."""
    from sagaproof import kind

    kind.delete()


@app.command()
def logs(folder: Annotated[Path, typer.Argument(help="Where to.")] = Path("reports/kind")) -> None:
    """Keep the logs of the cluster that `create` has made: of its node, and of every container."""
    from sagaproof import kind

    kind.keep_logs(folder)
