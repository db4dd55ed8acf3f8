# ruff: noqa: PLC0415
"""The shop on a Kubernetes: up, down, status. See docs/kubernetes.md."""

import time
from pathlib import Path
from typing import Annotated

import typer

from sagaproof.errors import CommandError

app = typer.Typer(
    name="cluster",
    help="""The shop on the Kubernetes that your kubeconfig names.

    \b
    sagaproof cluster up plain
    sagaproof cluster create; sagaproof cluster up kind
    sagaproof cluster status
    sagaproof cluster down
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command()
def create(
    preload: Annotated[Path | None, typer.Option(help="A folder of image archives, loaded first.")] = None,
    node_image: Annotated[str | None, typer.Option(help="Of kind.", show_default=False)] = None,
    strimzi: Annotated[str | None, typer.Option(help="Its manifest: a file or URL.", show_default=False)] = None,
) -> None:
    """Make a kind cluster on this machine's Docker, with the shop's images and Strimzi, for `up kind`."""
    from sagaproof import kind

    kind.create(print, preload, node_image or kind.NODE_IMAGE, strimzi or kind.STRIMZI)


@app.command()
def delete() -> None:
    """Remove that kind cluster, with all that is in it."""
    from sagaproof import kind

    kind.delete()


@app.command()
def logs(folder: Annotated[Path, typer.Argument(help="Where to put them.")]) -> None:
    """The logs of that kind cluster: of its node and of every pod."""
    from sagaproof import kind

    kind.logs(folder)


@app.command()
def up(
    overlay: Annotated[str, typer.Argument(help="plain, kind, eks, or a folder of your own that builds on one.")],
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds until all of it must run.")] = 300,
) -> None:
    """Deploy the shop, or bring it up to date; return when all of it runs."""
    from sagaproof import cluster

    began_at = time.monotonic()
    cluster.Cluster().up(cluster.overlay(overlay), print, timeout_s)
    print(f"the shop is open after {time.monotonic() - began_at:.0f} s")


@app.command()
def down(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove the shop with all its orders, stock and money."""
    from sagaproof import cluster

    if not yes and not typer.confirm(f"remove the namespace {cluster.NAMESPACE} with all data?"):
        raise CommandError("nothing was removed")
    cluster.Cluster().down()
    print("removed")


@app.command()
def status() -> None:
    """The shop's pods."""
    from sagaproof import cluster

    print(cluster.Cluster().pods(), end="")
