# ruff: noqa: PLC0415
"""The checks of whole histories, on the shop that runs: is everything right, and what has become of one order."""

from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import AsJson, complain

if TYPE_CHECKING:
    from e2e.history import History

PANEL = "Operate"
REST_WITHIN_S = 60.0
DEADLINE_S = 30.0
Deadline = Annotated[
    float,
    typer.Option(envvar="ORDER_DEADLINE_S", help="The deadline that the shop was started with, in seconds."),
]
ORDER = typer.Argument(help="An order's id.", show_default=False)

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def check(
    as_json: AsJson = False,
    within: Annotated[float, typer.Option(help="Seconds to wait for the shop to be at rest.")] = REST_WITHIN_S,
    deadline: Deadline = DEADLINE_S,
) -> None:
    """Read all topics and all stores, and check that every order ended once and that stock and money add up.

    It changes nothing. It waits until no order is open and every service has read all that there is, since what is
    under way looks wrong. Exit code 1 if something is wrong.

    \b
    sagaproof check
    sagaproof check --json | jq .violations
    """
    import msgspec

    from e2e.checks import CHECKS
    from e2e.checks import check as checked
    from e2e.checks.violation import Violation

    history = _history(within, deadline, quiet=as_json)
    violations = checked(history)
    if as_json:
        found = {"orders": len(history.accepted), "checks": CHECKS, "violations": violations}
        print(msgspec.json.encode(found).decode())
        raise typer.Exit(1 if violations else 0)
    by_check: dict[str, list[Violation]] = {name: [] for name in CHECKS}
    for violation in violations:
        by_check[violation.check].append(violation)
    for name, found_wrong in by_check.items():
        print(f"{name:16} {f'{len(found_wrong)} wrong' if found_wrong else 'right'}")
        for violation in found_wrong:
            print(f"  {violation}")
    orders = {violation.order_id for violation in violations if violation.order_id}
    if orders:
        print(f"\nsagaproof explain {min(orders)}")
    raise typer.Exit(1 if violations else 0)


@app.command(rich_help_panel=PANEL)
def explain(order_id: Annotated[str, ORDER], deadline: Deadline = DEADLINE_S) -> None:
    """Print what every service did with an order, in the order of time, and what is wrong with it.

    From the topics and the stores themselves, not from a read model. It changes nothing.

    \b
    sagaproof explain 019aa0f5-...
    """
    from e2e.explain import explain as explained
    from sagaproof.errors import CommandError

    history = _history(0.0, deadline, quiet=True)
    if order_id not in history.accepted and not any(found.key == order_id for found in history.published):
        raise CommandError(f"there is no order {order_id}", ["sagaproof orders  lists them"])
    print(explained(history, order_id), end="")


def _history(within_s: float, deadline_s: float, *, quiet: bool) -> "History":
    """Of the shop that runs here; raises CommandError where it cannot be read, or is not at rest in time."""
    import grpc
    from confluent_kafka import KafkaException

    from e2e.recorder import Addresses, NotAtRest, record
    from sagaproof.errors import CommandError
    from sagaproof.running import places
    from services.topics import TOPICS

    here = places()
    if here.state is None:
        raise CommandError("nothing runs here", ["start it: sagaproof run"])
    addresses = Addresses(
        here.state.kafka,
        {service: here.address(service) for service in here.kinds},
        {service: here.admin_address(service) for service in here.kinds},
    )
    try:
        return record(
            addresses,
            [topic.name for topic in TOPICS],
            rest_within_s=within_s,
            deadline_us=round(deadline_s * 1_000_000),
            tell=(lambda _line: None) if quiet else complain,
        )
    except NotAtRest as error:
        raise CommandError(str(error), ["while orders are placed there is always something under way"]) from error
    except (grpc.RpcError, KafkaException, TimeoutError) as error:
        raise CommandError(f"a part of the shop does not answer: {error}", ["sagaproof health  says which"]) from error
