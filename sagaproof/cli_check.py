# ruff: noqa: PLC0415
"""The checks of whole histories, on a shop that runs: is everything right, and what has become of one order."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import AsJson, complain

if TYPE_CHECKING:
    from e2e.large import Verdict
    from e2e.reading import Addresses
    from sagaproof.cluster import Cluster

PANEL = "Operate"
REST_WITHIN_S = 60.0
DEADLINE_S = 30.0
NOT_KNOWN = 2
"""The exit code where nothing can be said."""
Deadline = Annotated[
    float,
    typer.Option(envvar="ORDER_DEADLINE_S", help="The deadline that the shop was started with, in seconds."),
]
Within = Annotated[float, typer.Option(help="Seconds to wait for the shop to be at rest.")]
OnCompose = Annotated[bool, typer.Option("--compose", help="The shop of docker compose up.")]
OnKubernetes = Annotated[bool, typer.Option("--kubernetes", help="The shop in the cluster of your kubeconfig.")]
Namespace = Annotated[str, typer.Option(help="Its namespace in that cluster: sagaproof.", show_default=False)]
Context = Annotated[str, typer.Option(help="Of the kubeconfig, in place of its current one.", show_default=False)]
ORDER = typer.Argument(help="An order's id.", show_default=False)

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def check(
    as_json: AsJson = False,
    within: Within = REST_WITHIN_S,
    deadline: Deadline = DEADLINE_S,
    compose: OnCompose = False,
    kubernetes: OnKubernetes = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Read all topics and all stores, and check that every order ended once and that stock and money add up.

    It changes nothing. It waits until no order is open and every service has read all that there is, since what is
    under way looks wrong. A shop of any size takes the same memory: what is read is filed under TMPDIR. In a cluster
    a pod does it, which is gone afterwards.
    Exit code 1 if something is wrong, 2 if that cannot be said: a part does not answer, or there is no rest.

    \b
    sagaproof check
    sagaproof check --json | jq .violations
    sagaproof check --compose
    sagaproof check --kubernetes --namespace sagaproof
    """
    from e2e import live
    from sagaproof.errors import CommandError

    try:
        cluster = _cluster(kubernetes, compose, namespace, context)
        if cluster:
            verdict = checked_inside(cluster, within, deadline)
        else:
            verdict = live.check(_addresses(compose), rest_within_s=within, deadline_s=deadline, tell=complain)
    except (CommandError, live.NotKnown) as error:
        complain(_whole(error))
        raise typer.Exit(NOT_KNOWN) from error
    raise typer.Exit(say(verdict, as_json=as_json))


def checked_inside(cluster: "Cluster", within_s: float = REST_WITHIN_S, deadline_s: float = DEADLINE_S) -> "Verdict":
    """Of a shop in a cluster. Raises e2e.live.NotKnown and CommandError."""
    from sagaproof import inspection

    said = inspection.ask(cluster, within_s, deadline_s, "", complain)
    assert said.verdict is not None
    return said.verdict


def explained_inside(cluster: "Cluster", order_id: str, deadline_s: float = DEADLINE_S) -> str:
    """The story of an order of a shop in a cluster, '' if there is no such order. Raises as the other."""
    from sagaproof import inspection

    return inspection.ask(cluster, 0.0, deadline_s, order_id, complain).story or ""


def say(verdict: "Verdict", *, as_json: bool = False) -> int:
    """Prints it; the exit code that it means."""
    import msgspec

    if as_json:
        print(msgspec.json.encode({"checks": list(verdict.counts), **verdict._asdict()}).decode())
    else:
        _show(verdict)
    return 1 if any(verdict.counts.values()) else 0


def _show(verdict: "Verdict") -> None:
    for name, count in verdict.counts.items():
        print(f"{name:16} {f'{count} wrong' if count else 'right'}")
        of_it = [violation for violation in verdict.violations if violation.check == name]
        for violation in of_it:
            print(f"  {violation}")
        if len(of_it) < count:
            print(f"  and {count - len(of_it)} more")
    orders = {violation.order_id for violation in verdict.violations if violation.order_id}
    if orders:
        print(f"\nsagaproof explain {min(orders)}")


@app.command(rich_help_panel=PANEL)
def explain(
    order_id: Annotated[str, ORDER],
    deadline: Deadline = DEADLINE_S,
    compose: OnCompose = False,
    kubernetes: OnKubernetes = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Print what every service did with an order, in the order of time, and what is wrong with it.

    From the topics and the stores themselves, not from a read model. It changes nothing.

    \b
    sagaproof explain 019aa0f5-...
    sagaproof explain 019aa0f5-... --kubernetes
    """
    from e2e import live
    from sagaproof.errors import CommandError

    try:
        cluster = _cluster(kubernetes, compose, namespace, context)
        if cluster:
            story = explained_inside(cluster, order_id, deadline)
        else:
            story = live.explain(_addresses(compose), order_id, deadline_s=deadline)
    except live.NotKnown as error:
        raise CommandError(
            str(error), ["sagaproof health  says which part of a shop of this machine is away"]
        ) from error
    if not story:
        raise CommandError(f"there is no order {order_id}", ["sagaproof orders  lists them"])
    print(story, end="")


def _cluster(kubernetes: bool, compose: bool, namespace: str, context: str) -> "Cluster | None":
    from sagaproof.cluster import NAMESPACE, Cluster
    from sagaproof.errors import CommandError

    if kubernetes and compose:
        raise CommandError("a shop is on Compose or on Kubernetes: give one of --compose and --kubernetes")
    if (namespace or context) and not kubernetes:
        raise CommandError("--namespace and --context belong to --kubernetes")
    return Cluster(namespace or NAMESPACE, context) if kubernetes else None


def _addresses(compose: bool) -> "Addresses":
    """Of the shop of Compose, or of the one that runs here."""
    from e2e.reading import Addresses
    from sagaproof import composed
    from sagaproof.errors import CommandError
    from sagaproof.running import places
    from services.engine.kafka_access import KafkaSettings
    from services.engine.settings import read

    if compose:
        return composed.addresses()
    here = places()
    if here.state is None:
        raise CommandError("nothing runs here", ["start it: sagaproof run; or is it --compose, or --kubernetes?"])
    return Addresses(
        read(KafkaSettings, {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": here.state.kafka}).kafka,
        {service: here.address(service) for service in here.kinds},
        {service: here.admin_address(service) for service in here.kinds},
    )


def _whole(error: Exception) -> str:
    from sagaproof.errors import CommandError

    return "\n  ".join([error.line, *error.details]) if isinstance(error, CommandError) else str(error)
