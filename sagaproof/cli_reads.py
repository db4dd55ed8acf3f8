# ruff: noqa: PLC0415
"""What has happened and what goes on: orders, sagas, events, dashboard. All by the gateway."""

from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import AsJson, Url, complain, console, gateway_at, print_lines

if TYPE_CHECKING:
    from sagaproof.client import Gateway

PANEL = "Shop"

app = typer.Typer()

User = Annotated[str | None, typer.Option(help="Of this customer only.", show_default=False)]
Status = Annotated[
    str | None,
    typer.Option(help="In this status only, such as AWAITING_PAYMENT; or OPEN, or ENDED.", show_default=False),
]
Reason = Annotated[
    str | None, typer.Option(help="Cancelled for this reason only, such as OUT_OF_STOCK.", show_default=False)
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many at most.")]


@app.command(rich_help_panel=PANEL)
def orders(
    user: User = None,
    status: Status = None,
    reason: Reason = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List orders, the newest first.

    \b
    sagaproof orders --user ann
    sagaproof orders --status OPEN
    sagaproof orders --reason OUT_OF_STOCK -n 5
    """
    from sagaproof import show_reads
    from sagaproof.documents_reads import orders_decoder

    with gateway_at(url) as gateway:
        found = gateway.read("/orders", userId=user, status=_upper(status), reason=_upper(reason), limit=limit)
    if as_json:
        print(found.decode())
    else:
        console().print(show_reads.orders(orders_decoder.decode(found).items))


@app.command(rich_help_panel=PANEL)
def sagas(
    user: User = None,
    status: Status = None,
    reason: Reason = None,
    limit: Limit = 5,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show the saga log: of each order its steps, and the time from one to the next; the newest order first.

    \b
    sagaproof sagas
    sagaproof sagas --status COMPENSATING
    """
    from sagaproof import show_reads
    from sagaproof.documents_reads import sagas_decoder

    with gateway_at(url) as gateway:
        found = gateway.read("/sagas", userId=user, status=_upper(status), reason=_upper(reason), limit=limit)
    if as_json:
        print(found.decode())
    else:
        print_lines(show_reads.sagas(sagas_decoder.decode(found).items))


@app.command(rich_help_panel=PANEL)
def events(
    order: Annotated[
        str | None, typer.Option(help="Of this order only, from its first on: its audit trail.", show_default=False)
    ] = None,
    type_name: Annotated[
        str | None, typer.Option("--type", help="Of this type only, such as Shipped.", show_default=False)
    ] = None,
    limit: Limit = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what comes, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List what all services have published, the newest first. With --json, --follow prints one document a line.

    \b
    sagaproof events --type PaymentFailed
    sagaproof events --order 0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04
    sagaproof events -f
    """
    from sagaproof import show_reads
    from sagaproof.documents_reads import events_decoder

    with gateway_at(url) as gateway:
        if follow:
            _follow(gateway, order, type_name, as_json=as_json)
            return
        found = gateway.read("/events", orderId=order, type=type_name, limit=limit)
    if as_json:
        print(found.decode())
    else:
        print_lines(show_reads.event(event) for event in events_decoder.decode(found).items)


@app.command(rich_help_panel=PANEL)
def dashboard(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Again at each change, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show the shop in figures: orders by status and reason, how fast they end, the last minutes.

    \b
    sagaproof dashboard
    sagaproof dashboard -f
    """
    from sagaproof import show_reads
    from sagaproof.documents_reads import dashboard_decoder

    with gateway_at(url) as gateway:
        where = console()
        live = gateway.follow("/dashboard/stream", on_trouble=complain) if follow else [gateway.read("/dashboard")]
        for document in live:
            if as_json:
                print(document.decode(), flush=True)
                continue
            if follow:
                where.clear()
            found = dashboard_decoder.decode(document)
            print_lines(show_reads.dashboard(found))
            if found.minutes:
                where.print()
                where.print(show_reads.minutes(found.minutes))


def _follow(gateway: "Gateway", order: str | None, type_name: str | None, *, as_json: bool) -> None:
    from sagaproof import show_reads
    from sagaproof.documents_reads import event_decoder

    where = console()
    for document in gateway.follow("/events/stream", on_trouble=complain, orderId=order, type=type_name):
        if as_json:
            print(document.decode(), flush=True)
        else:
            where.print(show_reads.event(event_decoder.decode(document)), soft_wrap=True)


def _upper(name: str | None) -> str | None:
    return None if name is None else name.upper()
