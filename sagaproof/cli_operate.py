# ruff: noqa: PLC0415
"""The operator's commands: restock, deposit, logs, health, admin. All by gRPC and the files of this machine."""

import json
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sagaproof.cli_common import AsJson, console, print_lines
from sagaproof.errors import CommandError, Unreachable

PANEL = "Operate"

app = typer.Typer()

Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="The service's gRPC address, if not of this machine.", show_default=False),
]
RequestId = Annotated[
    str | None,
    typer.Option(help="The same id again changes nothing: for a call whose answer was lost.", show_default=False),
]


@app.command(rich_help_panel=PANEL)
def restock(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="A product id.", show_default=False)],
    quantity: Annotated[int, typer.Argument(metavar="QTY", min=1, help="How many to add.", show_default=False)],
    request_id: RequestId = None,
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Add stock of a product.

    \b
    sagaproof restock product-1 50
    """
    from sagaproof import show
    from sagaproof.rpc import Inventory, message_json
    from sagaproof.running import places

    request_id = request_id or str(uuid.uuid4())
    with Inventory(address or places().address("inventory")) as inventory:
        try:
            product_now = inventory.restock(product, quantity, request_id)
        except Unreachable as error:
            raise _repeatable(error, request_id) from None
    if as_json:
        print(message_json(product_now))
    else:
        available, reserved = show.count(product_now.available), show.count(product_now.reserved)
        print(f"{product_now.product_id}: {available} available, {reserved} reserved")


@app.command(rich_help_panel=PANEL)
def deposit(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose account.", show_default=False)],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Such as 50 or 12.34.", show_default=False)],
    *,
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "USD",
    request_id: RequestId = None,
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Add money to a user's account (which opens with 1,000.00 on its first use).

    \b
    sagaproof deposit user-1 250
    sagaproof deposit user-1 12.34
    """
    from sagaproof import show
    from sagaproof.rpc import Payment, message_json
    from sagaproof.running import places

    try:
        amount_minor = show.parse_amount(amount)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="AMOUNT") from None
    request_id = request_id or str(uuid.uuid4())
    with Payment(address or places().address("payment")) as payment:
        try:
            account = payment.deposit(user, amount_minor, currency, request_id)
        except Unreachable as error:
            raise _repeatable(error, request_id) from None
    if as_json:
        print(message_json(account))
    else:
        print(f"{account.user_id}: {show.money(account.balance.amount_minor, account.balance.currency)}")


@app.command(rich_help_panel=PANEL)
def logs(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="SERVICE", help="All if none is named.", show_default=False)
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    order_id: Annotated[
        str, typer.Option("--order", metavar="ORDER", help="Only what names this order.", show_default=False)
    ] = "",
    level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR: this and above.")] = "DEBUG",
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="How many lines, 0 for all.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the logs of all processes of this machine as one story, merged by time. With --json, as they were written.

    \b
    sagaproof logs -f
    sagaproof logs payment shipping --level WARNING
    sagaproof logs --order 0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04
    """
    from sagaproof import logs as reader
    from sagaproof import show
    from sagaproof.settings import state_home

    if level.upper() not in reader.LEVELS:
        raise typer.BadParameter(f"{level!r} is none of {', '.join(reader.LEVELS)}", param_hint="--level")
    wanted = reader.Wanted(order_id, level.upper())
    folder = state_home(os.environ) / "logs"
    where = console()

    def find() -> Sequence[Path]:
        return reader.files(folder, services or [])

    for line in reader.follow(find, wanted, last) if follow else reader.read(find(), wanted, last):
        if as_json:
            print(line.raw, flush=follow)
        else:
            where.print(show.log_line(line), soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def trace(
    order_id: Annotated[str, typer.Argument(metavar="ORDER", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show where an order's time went, over all processes: its traces, from the logs of this machine.

    \b
    OTEL_TRACES_EXPORTER=console make run
    sagaproof trace 0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04
    """
    from sagaproof import logs as reader
    from sagaproof import trace as tracing
    from sagaproof.settings import state_home

    found = tracing.traces(reader.files(state_home(os.environ) / "logs", []), order_id)
    if as_json:
        print(tracing.as_json(found))
    else:
        print_lines(line for spans in found for line in tracing.lines(spans))


@app.command(rich_help_panel=PANEL)
def health(as_json: AsJson = False) -> None:
    """Show how every process of this machine is; exit code 1 unless all are ready."""
    from sagaproof import show
    from sagaproof.health import check
    from sagaproof.running import places

    rows = check(places())
    if as_json:
        print(json.dumps([row.as_json() for row in rows], indent=2))
    else:
        console().print(show.health(rows))
    raise typer.Exit(0 if all(row.ready for row in rows) else 1)


@app.command(rich_help_panel=PANEL)
def admin(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="Such as inventory, or HOST:PORT.", show_default=False)
    ],
    method: Annotated[
        str | None, typer.Argument(metavar="METHOD", help="All methods are listed without it.", show_default=False)
    ] = None,
    request: Annotated[
        str, typer.Argument(metavar="JSON", help="The request; - reads it from standard input.", show_default=False)
    ] = "{}",
    as_json: AsJson = False,
) -> None:
    """Call any gRPC method of a service, its AdminService included; it says itself what there is (reflection).

    \b
    sagaproof admin inventory
    sagaproof admin inventory ListProducts
    sagaproof admin payment GetAccount '{"userId": "user-1"}'
    sagaproof admin shipping Pause
    sagaproof admin inventory GetEntity '{"entity": "stock/product-1"}'
    """
    from sagaproof import show
    from sagaproof.admin import Listeners
    from sagaproof.running import places

    addresses = [service] if ":" in service else places().listeners(service)
    with Listeners(service, addresses) as listeners:
        if method is None:
            if as_json:
                print(json.dumps([found.as_json() for found in listeners.methods], indent=2))
            else:
                print_lines(show.methods(listeners.methods))
            return
        text = sys.stdin.read() if request == "-" else request
        for answer in listeners.call(listeners.find(method), text):
            print(json.dumps(answer, indent=2, ensure_ascii=False), flush=True)


def _repeatable(error: Unreachable, request_id: str) -> CommandError:
    return CommandError(error.line, [*error.details, f"to try the very same again: --request-id {request_id}"])
