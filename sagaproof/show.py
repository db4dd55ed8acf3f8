"""How things look on the terminal: amounts, orders, timelines, tables. Colour marks the outcome and what is wrong.

Nothing here talks to the system. Works the same without a terminal, only without colour.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sagaproof.documents import Customer, Day, Entry, Money, Order, Overview, Popular, Product

if TYPE_CHECKING:  # each command imports only what it needs
    from sagaproof.admin import Method
    from sagaproof.health import Health
    from sagaproof.logs import Line

PLAIN_WIDTH = 140
"""How wide tables may get where there is no terminal."""

NOTE = "note"
"""The column of a table that may be broken into lines; all others are numbers and names."""

_STATUS_STYLE = {"COMPLETED": "green", "CANCELLED": "yellow", "COMPENSATING": "yellow"}
_LEVEL_STYLE = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
_FOR_PROGRAMS = frozenset({"logger", "trace", "trace_id"})
_SERVICE_WIDTH = 12
_EVENT_WIDTH = 26
_METHOD_WIDTH = 20
_CENTS = Decimal(100)


def console(*, stderr: bool = False) -> Console:
    """Where commands print. Numbers and the like are not coloured by guessing."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = PLAIN_WIDTH
    return made


# ---------------------------------------------------------------- amounts


def money(amount_minor: int, currency: str) -> str:
    """For people: 123456 is `1,234.56 USD`."""
    return f"{amount(amount_minor)} {currency}"


def amount(amount_minor: int) -> str:
    """The same without its currency."""
    whole, cents = divmod(abs(amount_minor), 100)
    return f"{'-' if amount_minor < 0 else ''}{whole:,}.{cents:02}"


def parse_amount(text: str) -> int:
    """Cents from `50` or `12.34`. Raises ValueError with the reason."""
    try:
        cents = Decimal(text) * _CENTS
    except InvalidOperation:
        cents = None
    if cents is None or not re.fullmatch(r"[0-9]{1,15}([.][0-9]+)?", text):
        raise ValueError(f"{text!r} is no amount; it looks like 50 or 12.34")
    if cents != cents.to_integral_value():
        raise ValueError(f"{text} has a fraction of a cent")
    if not cents:
        raise ValueError("the amount has to be more than 0")
    return int(cents)


def _money_or_dash(value: Money | None) -> str:
    return money(value.amount_minor, value.currency) if value else "-"


# ---------------------------------------------------------------- orders


def timeline_line(entry: Entry, start: datetime, *, detail: bool = True) -> Text:
    """`    12 ms  inventory     InventoryConfirmed`, and a detail where there is one."""
    line = Text.assemble(
        (f"{_ms(entry.time - start):>8,} ms", "dim"),
        f"  {entry.service:<{_SERVICE_WIDTH}}  {entry.type:<{_EVENT_WIDTH}}",
    )
    if entry.detail and detail:
        line.append(f"  {entry.detail}", style="dim")
    line.rstrip()
    return line


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


def started(order: Order) -> datetime | None:
    """When the first event of an order happened, as far as it is known."""
    return min((entry.time for entry in order.timeline), default=None)


def outcome(order: Order) -> Text:
    """`COMPLETED  27 ms` or `CANCELLED OUT_OF_STOCK  9 ms`; the delivery, which comes after it, does not count."""
    line = status_text(order.status, order.reason)
    first = started(order)
    if order.ended and first:
        last = max((entry.time for entry in order.timeline if entry.type != "DeliveryProgressed"), default=first)
        line.append(f"  {_ms(last - first):,} ms", style="dim")
    return line


def status_text(status: str, reason: str | None) -> Text:
    """`CANCELLED OUT_OF_STOCK`, in its colour."""
    line = Text.assemble((status, _STATUS_STYLE.get(status, "cyan")))
    if reason:
        line.append(f" {reason}")
    return line


class Story:
    """An order as it unfolds: the entries of its timeline that were not told yet, document by document."""

    def __init__(self) -> None:
        self._told: set[Entry] = set()
        self._details: set[str | None] = set()

    def news(self, found: Order) -> Iterable[Text]:
        """One line for each new entry, in the order of their times. A detail that is passed on is told once."""
        first = started(found)
        for entry in sorted(found.timeline, key=lambda entry: entry.time):
            if entry not in self._told and first:
                yield timeline_line(entry, first, detail=entry.detail not in self._details)
                self._told.add(entry)
                self._details.add(entry.detail)


def order(found: Order) -> Iterable[Text]:
    """An order on a few lines, then its timeline."""
    items = ", ".join(f"{item.quantity} x {item.product_id}" for item in found.items) or "-"
    rows = [("order", Text(found.order_id)), ("status", outcome(found))]
    if found.reason_detail:
        rows.append(("because", Text(found.reason_detail)))
    rows += [("items", Text(items)), ("total", Text(_money_or_dash(found.total)))]
    if found.user_id:
        rows.insert(1, ("user", Text(found.user_id)))
    if found.payment:
        paid = f"{found.payment.status}  {_money_or_dash(found.payment.amount)}"
        refunded = found.payment.refunded
        given_back = f", refunded {_money_or_dash(refunded)}" if refunded and refunded.amount_minor else ""
        rows.append(("payment", Text(paid + given_back)))
    if found.delivery:
        delivery = found.delivery
        parts = (delivery.status, delivery.tracking_number, delivery.address)
        rows.append(("delivery", Text("  ".join(part for part in parts if part))))
    for name, value in rows:
        yield Text.assemble((f"{name:<10}", "dim"), value)
    if found.timeline:
        yield Text()
        yield from Story().news(found)


# ---------------------------------------------------------------- tables


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Sequence[str] = ()) -> Table:
    """A table without lines; the columns in `right` are numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name != NOTE)
    for row in rows:
        made.add_row(*row)
    return made


def products(found: Iterable[Product]) -> Table:
    """The catalogue with its stock."""
    rows = [
        (
            product.product_id,
            product.name,
            money(product.price.amount_minor, product.price.currency),
            count(product.available),
            count(product.reserved),
        )
        for product in found
    ]
    columns = ("product", "name", "price", "available", "reserved")
    return table(columns, rows, right=("price", "available", "reserved"))


def overview(found: Overview) -> Iterable[Text]:
    """What was sold in all, on a few lines."""
    reasons = ", ".join(f"{count(orders)} {reason}" for reason, orders in found.cancelled_by_reason.items())
    rows = [
        ("revenue", f"{_money_or_dash(found.revenue)} for {count(found.pieces)} pieces"),
        ("orders", f"{count(found.completed)} completed, {_money_or_dash(found.average_order_value)} on average"),
        ("cancelled", f"{count(found.cancelled)}{f': {reasons}' if reasons else ''}"),
        ("refunded", _money_or_dash(found.refunded)),
        ("customers", count(found.customers)),
    ]
    for name, value in rows:
        yield Text.assemble((f"{name:<10}", "dim"), value)


def customers(found: Iterable[Customer]) -> Table:
    """The best customers."""
    rows = [(each.user_id, count(each.orders), _money_or_dash(each.value)) for each in found]
    return table(("customer", "orders", "value"), rows, right=("orders", "value"))


def popularity(found: Iterable[Popular]) -> Table:
    """The products that are bought most."""
    rows = [
        (each.product_id, each.name or "-", count(each.pieces), count(each.orders), _money_or_dash(each.revenue))
        for each in found
    ]
    columns = ("product", "name", "pieces", "orders", "revenue")
    return table(columns, rows, right=("pieces", "orders", "revenue"))


def days(found: Iterable[Day]) -> Table:
    """What ended on each day."""
    rows = [
        (
            each.day,
            count(each.orders),
            count(each.pieces),
            _money_or_dash(each.revenue),
            _money_or_dash(each.refunded),
            count(each.cancelled),
        )
        for each in found
    ]
    columns = ("day", "orders", "pieces", "revenue", "refunded", "cancelled")
    return table(columns, rows, right=columns[1:])


def health(rows: "Iterable[Health]") -> Table:
    """One row a process."""
    columns = ("process", "state", "pid", "up", "restarts", "lag", "version", NOTE)
    return table(columns, [_health(row) for row in rows], right=("pid", "up", "restarts", "lag"))


def _health(row: "Health") -> tuple[str | Text, ...]:
    if row.ready:
        state = Text("paused", style="yellow") if row.paused else Text("ready", style="green")
    else:
        state = Text("not ready" if row.live else "no answer", style="red")
    numbers = (str(row.pid or "-"), _duration(row.up_s), _or_dash(row.restarts), _or_dash(row.lag))
    return (row.service, state, *numbers, row.version or "-", Text(row.note, style="dim"))


def methods(found: "Iterable[Method]") -> Iterable[Text]:
    """What a service offers: its gRPC services, each with its methods and what they take."""
    service = ""
    for method in found:
        if method.service != service:
            service = method.service
            yield Text.assemble(service, (f"  {method.address}", "dim"))
        yield Text.assemble("  ", f"{method.name:<{_METHOD_WIDTH}}", (method.request, "dim"))


def count(number: int) -> str:
    return f"{number:,}"


def _or_dash(number: int | None) -> str:
    return "-" if number is None else count(number)


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s" if minutes else f"{rest} s"


# ---------------------------------------------------------------- logs


def log_line(line: "Line") -> Text:
    """`10:00:00.123 inventory    WARNING  message  key=value`, local time; a stack trace below."""
    local = line.time.astimezone()
    text = Text.assemble(
        (f"{local:%H:%M:%S}.{local.microsecond // 1000:03}", "dim"),
        f"  {line.service:<{_SERVICE_WIDTH}}  ",
        (f"{line.level:<8}", _LEVEL_STYLE.get(line.level, "dim")),
    )
    message, *more = line.message.splitlines() or [""]
    text.append(f"  {message}")
    extra = " ".join(f"{name}={value}" for name, value in line.extra.items() if name not in _FOR_PROGRAMS)
    if extra:
        text.append(f"  {extra}", style="dim")
    for below in (*more, *line.exception.splitlines()):
        text.append(f"\n    {below}", style="dim")
    return text
