# ruff: noqa: PLC0415
"""The shop on a Kubernetes: up, down, status. See docs/kubernetes.md."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import complain
from sagaproof.cluster import NAMESPACE
from sagaproof.errors import CommandError

if TYPE_CHECKING:
    from sagaproof.cluster import Cluster

Context = Annotated[str, typer.Option(help="Of the kubeconfig, in place of its current one.", show_default=False)]
Namespace = Annotated[str, typer.Option(help="Where the shop is in the cluster.")]

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
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ADDRESS", help="services=... or gateway=..., in place of the overlay's."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the server, show what differs, change nothing.")
    ] = False,
    rollback: Annotated[bool, typer.Option(help="Bring the last good deployment back if this one fails.")] = True,
    check: Annotated[bool, typer.Option(help="Read the whole history afterwards, as sagaproof check.")] = True,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds until all of it must run.")] = 300,
    context: Context = "",
    eks: Annotated[
        str, typer.Option(metavar="NAME", help="A cluster of EKS, in place of your kubeconfig's.", show_default=False)
    ] = "",
    region: Annotated[str, typer.Option(help="Of that cluster, as AWS names it.", show_default=False)] = "",
) -> None:
    """Deploy the shop, or bring it up to date; if that fails, bring back what was there.

    The server looks at all manifests first, and what it refuses changes nothing. What differs is shown, and applied;
    when all of it runs, one order is placed and must complete. Then the whole history is checked. Exit code 1 if the
    deployment failed or the check finds something wrong, 2 if that cannot be said.

    \b
    sagaproof cluster up plain
    sagaproof cluster up plain --dry-run
    sagaproof cluster up eks --eks shop --region eu-central-1 --image services=...@sha256:... --image gateway=...
    """
    from sagaproof import cluster, manifests
    from sagaproof.deploy import deploy

    began_at = time.monotonic()
    with _reached(eks, region):
        wanted = manifests.render(cluster.overlay(overlay), _images(image or []))
        there = cluster.Cluster(manifests.namespace_of(wanted), context)
        deploy(there, wanted, _say, timeout_s, dry_run=dry_run, rolls_back=rollback)
        if dry_run:
            return
        print(f"the shop is open after {time.monotonic() - began_at:.0f} s", flush=True)
        if check:
            raise typer.Exit(_checked(there))


def _checked(there: "Cluster") -> int:
    """The exit code that the check means."""
    from e2e.live import NotKnown
    from sagaproof import cli_check

    try:
        return cli_check.say(cli_check.checked_inside(there))
    except NotKnown as error:
        complain(f"deployed, and not checked: {error}")
        return cli_check.NOT_KNOWN


def _say(line: str) -> None:
    """At once, also where nobody looks: a deployment takes minutes."""
    print(line, flush=True)


def _images(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, _, found[name] = each.partition("=")
        if name not in ("services", "gateway") or not found[name]:
            raise CommandError(f"--image {each}: it is services=ADDRESS or gateway=ADDRESS")
    return found


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
    with eks.kubeconfig_file(eks_cluster, region) as path:
        os.environ["KUBECONFIG"] = str(path)
        yield


@app.command()
def down(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    namespace: Namespace = NAMESPACE,
    context: Context = "",
) -> None:
    """Remove the shop with all its orders, stock and money."""
    from sagaproof import cluster

    if not yes and not typer.confirm(f"remove the namespace {namespace} with all data?"):
        raise CommandError("nothing was removed")
    cluster.Cluster(namespace, context).down()
    print("removed")


@app.command()
def status(namespace: Namespace = NAMESPACE, context: Context = "") -> None:
    """The shop's pods."""
    from sagaproof import cluster

    print(cluster.Cluster(namespace, context).pods(), end="")
