# ruff: noqa: PLC0415
"""The customer's commands, and what was sold: order, status, watch, cancel, products, marketing. All by the gateway."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import AsJson, Url, complain, console, gateway_at, print_lines

if TYPE_CHECKING:
    from sagaproof.client import Gateway

PANEL = "Shop"

app = typer.Typer()

OrderId = Annotated[str, typer.Argument(metavar="ORDER", help="An order id.", show_default=False)]


@app.command(rich_help_panel=PANEL)
def order(
    products: Annotated[
        list[str],
        typer.Argument(metavar="PRODUCT[:QTY]", help="What to order, one of each by default.", show_default=False),
    ],
    *,
    user: Annotated[str, typer.Option(help="Who orders and pays.")] = "user-1",
    address: Annotated[str | None, typer.Option(help="Where to deliver.", show_default=False)] = None,
    key: Annotated[
        str | None,
        typer.Option(help="An idempotency key: the same key gives the same order again.", show_default=False),
    ] = None,
    watch: Annotated[bool, typer.Option(help="Follow the order to its ending; else print its id.")] = True,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Place an order, and watch it to its ending.

    \b
    sagaproof order product-1:2
    sagaproof order product-1 product-3:2 --user ann --address "1 Main Street"
    ID=$(sagaproof order product-2 --no-watch)
    """
    from sagaproof.documents import accepted_decoder

    items = [_item(text) for text in products]
    with gateway_at(url) as gateway:
        answer = gateway.place(items, user=user, address=address, key=key)
        order_id = accepted_decoder.decode(answer).order_id
        if watch:
            if not as_json:
                print(f"order {order_id}")
            _follow(gateway, order_id, as_json=as_json)
        else:
            print(answer.decode() if as_json else order_id)


@app.command(rich_help_panel=PANEL)
def status(order_id: OrderId, as_json: AsJson = False, url: Url = None) -> None:
    """Show an order: where it is, what was paid, and its timeline over all services.

    \b
    sagaproof status 0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04
    """
    from sagaproof import show
    from sagaproof.documents import order_decoder

    with gateway_at(url) as gateway:
        document = gateway.status(order_id)
    if as_json:
        print(document.decode())
        return
    print_lines(show.order(order_decoder.decode(document)))


@app.command(rich_help_panel=PANEL)
def watch(
    order_id: OrderId,
    since: Annotated[
        int | None,
        typer.Option(min=0, help="Go on behind this seq: nothing is shown until more is known.", show_default=False),
    ] = None,
    delivery: Annotated[bool, typer.Option("--delivery", help="Go on until the parcel is delivered.")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Follow an order live until it ends. A lost connection is made again. With --json, one document a line.

    \b
    sagaproof watch 0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04
    sagaproof watch 0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04 --delivery
    """
    with gateway_at(url) as gateway:
        _follow(gateway, order_id, since=since, delivery=delivery, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def cancel(order_id: OrderId, as_json: AsJson = False, url: Url = None) -> None:
    """Ask for an order to be cancelled. It is a race with shipping: the order may still complete.

    \b
    sagaproof cancel 0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04
    """
    with gateway_at(url) as gateway:
        answer = gateway.cancel(order_id)
    print(answer.decode() if as_json else f"cancellation asked for; how it ends: sagaproof watch {order_id}")


@app.command(rich_help_panel=PANEL)
def products(
    product: Annotated[
        str | None, typer.Argument(metavar="[PRODUCT]", help="Only this one.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List the catalogue with its stock."""
    from sagaproof import show
    from sagaproof.documents import product_decoder, products_decoder

    with gateway_at(url) as gateway:
        found = gateway.products() if product is None else gateway.product(product)
    if as_json:
        print(found.decode())
    else:
        listed = products_decoder.decode(found) if product is None else [product_decoder.decode(found)]
        console().print(show.products(listed))


@app.command(rich_help_panel=PANEL)
def marketing(
    top: Annotated[int, typer.Option(min=1, max=500, help="How many customers, products and days.")] = 10,
    currency: Annotated[
        str | None,
        typer.Option(help="By default that of the catalogue's first product.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what was sold: revenue, the best customers, the most popular products, the last days.

    \b
    sagaproof marketing
    sagaproof marketing --top 3 --json
    """
    import msgspec

    from sagaproof import show
    from sagaproof.documents import customers_decoder, days_decoder, overview_decoder, popularity_decoder

    with gateway_at(url) as gateway:
        overview = gateway.marketing("overview", currency=currency)
        customers = gateway.marketing("ltv", currency=currency, limit=top)
        popularity = gateway.marketing("popularity", currency=currency, limit=top)
        days = gateway.marketing("daily-sales", currency=currency)
    if as_json:
        views = {"overview": overview, "ltv": customers, "popularity": popularity, "dailySales": days}
        print(msgspec.json.encode({name: msgspec.Raw(view) for name, view in views.items()}).decode())
        return
    print_lines(show.overview(overview_decoder.decode(overview)))
    where = console()
    for table in (
        show.customers(customers_decoder.decode(customers).items),
        show.popularity(popularity_decoder.decode(popularity)),
        show.days(days_decoder.decode(days)[-top:]),
    ):
        if table.rows:
            where.print()
            where.print(table)


def _item(text: str) -> tuple[str, int]:
    """`product-1:2` as (product-1, 2)."""
    product, colon, quantity = text.partition(":")
    if not product or (colon and not quantity.removeprefix("-").isdecimal()):
        raise typer.BadParameter(f"{text!r} is not PRODUCT or PRODUCT:QTY", param_hint="PRODUCT[:QTY]")
    return product, int(quantity or 1)


def _follow(
    gateway: "Gateway", order_id: str, *, since: int | None = None, delivery: bool = False, as_json: bool = False
) -> None:
    """Tell an order's story until it has ended (and its parcel has arrived, with `delivery`)."""
    from sagaproof import show
    from sagaproof.documents import order_decoder

    where, story, found = console(), show.Story(), None
    try:
        with closing(gateway.watch(order_id, since=since, on_trouble=complain)) as documents:
            for document in documents:
                found = order_decoder.decode(document)
                if as_json:
                    print(document.decode(), flush=True)
                else:
                    for line in story.news(found):
                        where.print(line, soft_wrap=True)
                if found.ended and not (delivery and found.status == "COMPLETED"):
                    break
    except KeyboardInterrupt:
        complain(f"the order goes on; to go on watching: sagaproof watch {order_id}")
        raise
    if found and not as_json:
        where.print(show.outcome(found), soft_wrap=True)
