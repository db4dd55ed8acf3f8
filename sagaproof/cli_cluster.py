# ruff: noqa: PLC0415
"""The shop on a Kubernetes: up, down, status. See docs/kubernetes.md."""

import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
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
    preload: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Archives of images (docker save), loaded before all else."),
    ] = None,
    node_image: Annotated[str, typer.Option(help="kind's node; else what its version names.", show_default=False)] = "",
    strimzi: Annotated[
        str, typer.Option(help="The operator's manifest, a file or address; else its own.", show_default=False)
    ] = "",
    build: Annotated[bool, typer.Option("--build/--no-build", help="Build the shop's images here.")] = True,
) -> None:
    """Make a Kubernetes by kind, with the shop's images and Strimzi in it, for `sagaproof cluster up kind`.

    \b
    sagaproof cluster create
    sagaproof cluster create --preload archives/ --strimzi strimzi.yaml
    """
    from sagaproof import kind

    if missing := kind.lacks():
        raise CommandError("this machine cannot hold a cluster:", missing)
    kind.create(print, preload, node_image, strimzi or kind.STRIMZI, build=build)
    print("there is a cluster; next: sagaproof cluster up kind")


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
    eks: Annotated[
        str, typer.Option(metavar="NAME", help="A cluster of EKS, in place of your kubeconfig's.", show_default=False)
    ] = "",
    region: Annotated[str, typer.Option(help="Of that cluster, as AWS names it.", show_default=False)] = "",
) -> None:
    """Deploy the shop, or bring it up to date; return when all of it runs.

    \b
    sagaproof cluster up plain
    sagaproof cluster up eks --eks shop --region eu-central-1
    """
    from sagaproof import cluster

    began_at = time.monotonic()
    with _reached(eks, region):
        cluster.Cluster().up(cluster.overlay(overlay), print, timeout_s)
    print(f"the shop is open after {time.monotonic() - began_at:.0f} s")


@contextmanager
def _reached(eks_cluster: str, region: str) -> Generator[None]:
    """With a kubeconfig for that cluster, if one is named. AWS' own variables say who asks."""
    if not eks_cluster:
        yield
        return
    try:
        from sagaproof import eks
    except ImportError:
        raise CommandError("AWS' package is not here: make setup-dev installs it") from None
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(eks.kubeconfig(eks_cluster, region))
        file.flush()
        os.environ["KUBECONFIG"] = file.name
        yield


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
