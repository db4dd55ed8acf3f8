"""How lists of orders, sagas, events and the dashboard look on the terminal."""

from collections.abc import Iterable
from datetime import datetime

from rich.table import Table
from rich.text import Text

from sagaproof.documents_reads import Dashboard, Event, Listed, Minute, Saga
from sagaproof.show import count, money, status_text, table

_SERVICE_WIDTH = 12
_EVENT_WIDTH = 26


def orders(found: Iterable[Listed]) -> Table:
    rows = [
        (
            _time(order.created_at),
            order.order_id,
            order.user_id,
            ", ".join(f"{item.quantity} x {item.product_id}" for item in order.items),
            money(order.total.amount_minor, order.total.currency) if order.total else "-",
            status_text(order.status, order.reason),
        )
        for order in found
    ]
    return table(("accepted", "order", "user", "items", "total", "status"), rows, right=("total",))


def sagas(found: Iterable[Saga]) -> Iterable[Text]:
    """Each order on a line, and its steps below."""
    for saga in found:
        line = Text.assemble((_time(saga.started_at), "dim"), f"  {saga.order_id}  {saga.user_id}  ")
        line.append(status_text(saga.status, saga.reason))
        if saga.duration_ms is not None:
            line.append(f"  {saga.duration_ms:,.0f} ms", style="dim")
        yield line
        for step in saga.steps:
            name = f"{step.type:<{_EVENT_WIDTH}}"
            below = Text.assemble(
                (f"{f'+{step.since_previous_ms:,.0f}':>8} ms", "dim"),
                f"  {step.service:<{_SERVICE_WIDTH}}  ",
                (name, "yellow" if step.compensation else ""),
            )
            if step.detail:
                below.append(f"  {step.detail}", style="dim")
            below.rstrip()
            yield below


def event(found: Event) -> Text:
    """`12:00:00.123  inventory     InventoryConfirmed          0199c0de-...`, local time."""
    return Text.assemble(
        (_time(found.time), "dim"), f"  {found.service:<{_SERVICE_WIDTH}}  {found.type:<{_EVENT_WIDTH}}  {found.key}"
    )


def dashboard(found: Dashboard) -> Iterable[Text]:
    """The sums, on a few lines."""
    opened = ", ".join(f"{count(orders)} {status}" for status, orders in found.open.items()) or "none"
    reasons = ", ".join(f"{count(orders)} {reason}" for reason, orders in found.cancelled_by_reason.items())
    rows = [
        ("accepted", count(found.accepted)),
        ("completed", count(found.completed)),
        ("cancelled", f"{count(found.cancelled)}{f': {reasons}' if reasons else ''}"),
        ("open", f"{'at least ' if found.open_is_partial else ''}{opened}"),
        ("revenue", ", ".join(money(each.amount_minor, each.currency) for each in found.revenue) or "-"),
    ]
    if found.latency:
        p50, p95, p99 = found.latency.p50_ms, found.latency.p95_ms, found.latency.p99_ms
        rows.append(("latency", f"p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, p99 {p99:,.0f} ms"))
    for name, value in rows:
        yield Text.assemble((f"{name:<10}", "dim"), value)


def minutes(found: Iterable[Minute]) -> Table:
    rows = [
        (f"{minute.begins_at.astimezone():%H:%M}", *map(count, (minute.accepted, minute.completed, minute.cancelled)))
        for minute in found
    ]
    columns = ("minute", "accepted", "completed", "cancelled")
    return table(columns, rows, right=columns[1:])


def _time(time: datetime) -> str:
    local = time.astimezone()
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"
