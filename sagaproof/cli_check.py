# ruff: noqa: PLC0415
"""The checks of whole histories, on the shop that runs: is everything right, and what has become of one order."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import AsJson, complain

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.large import Verdict
    from e2e.reading import Addresses

PANEL = "Operate"
REST_WITHIN_S = 60.0
DEADLINE_S = 30.0
NOT_KNOWN = 2
"""The exit code where nothing can be said."""
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
    under way looks wrong. A shop of any size takes the same memory: what is read is filed under TMPDIR.
    Exit code 1 if something is wrong, 2 if that cannot be said: a part does not answer, or there is no rest.

    \b
    sagaproof check
    sagaproof check --json | jq .violations
    """
    from e2e.large import Filed
    from e2e.large.spill import Spill
    from e2e.recorder import read
    from sagaproof.errors import CommandError

    try:
        with tempfile.TemporaryDirectory(prefix="sagaproof-check-") as folder, _unreadable():
            filed = Filed(Spill(Path(folder)), round(deadline * 1_000_000))
            read(_addresses(), _topics(), filed, rest_within_s=within, tell=complain)
            verdict = filed.check(complain)
    except CommandError as error:
        complain("\n  ".join([error.line, *error.details]))
        raise typer.Exit(NOT_KNOWN) from error
    say(verdict, as_json=as_json)


def say(verdict: "Verdict", *, as_json: bool) -> None:
    """Prints it and ends the command."""
    import msgspec

    if as_json:
        print(msgspec.json.encode({"checks": list(verdict.counts), **verdict._asdict()}).decode())
    else:
        _show(verdict)
    raise typer.Exit(1 if any(verdict.counts.values()) else 0)


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
def explain(order_id: Annotated[str, ORDER], deadline: Deadline = DEADLINE_S) -> None:
    """Print what every service did with an order, in the order of time, and what is wrong with it.

    From the topics and the stores themselves, not from a read model. It changes nothing.

    \b
    sagaproof explain 019aa0f5-...
    """
    from e2e.explain import explain as explained
    from e2e.large.one import OfOrder
    from e2e.recorder import read
    from sagaproof.errors import CommandError

    keeper = OfOrder(order_id, round(deadline * 1_000_000))
    with _unreadable():
        read(_addresses(), _topics(), keeper, rest_within_s=0.0)
    if not keeper.done():
        raise CommandError(f"there is no order {order_id}", ["sagaproof orders  lists them"])
    print(explained(keeper.history, order_id, keeper.wrong), end="")


def _addresses() -> "Addresses":
    """Of the shop that runs here."""
    from e2e.reading import Addresses
    from sagaproof.errors import CommandError
    from sagaproof.running import places
    from services.engine.kafka_access import KafkaSettings
    from services.engine.settings import read

    here = places()
    if here.state is None:
        raise CommandError("nothing runs here", ["start it: sagaproof run"])
    return Addresses(
        read(KafkaSettings, {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": here.state.kafka}).kafka,
        {service: here.address(service) for service in here.kinds},
        {service: here.admin_address(service) for service in here.kinds},
    )


def _topics() -> list[str]:
    from services.topics import TOPICS

    return [topic.name for topic in TOPICS]


@contextmanager
def _unreadable() -> "Generator[None]":
    """Raises CommandError where the shop cannot be read, or is not at rest in time."""
    import grpc
    from confluent_kafka import KafkaException

    from e2e.recorder import NotAtRest
    from sagaproof.errors import CommandError

    try:
        yield
    except NotAtRest as error:
        raise CommandError(str(error), ["while orders are placed there is always something under way"]) from error
    except (grpc.RpcError, KafkaException, TimeoutError) as error:
        raise CommandError(f"a part of the shop does not answer: {error}", ["sagaproof health  says which"]) from error
