"""Two checks of how an order ends: once and in time, and all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from shop.common.v1.common_pb2 import DeliveryStatus, OrderStatus, Reason

from e2e.checks import hops
from e2e.checks.facts import ENDINGS, Event, Order, once_each, short
from e2e.checks.violation import Violation

GRACE_US = 15_000_000
"""After its deadline an order that is asked to stop needs this long at most."""
EARLY_US = 1_000_000
"""By so much the clocks of order's replicas may differ."""
STEPS = (
    DeliveryStatus.DELIVERY_STATUS_IN_TRANSIT,
    DeliveryStatus.DELIVERY_STATUS_OUT_FOR_DELIVERY,
    DeliveryStatus.DELIVERY_STATUS_DELIVERED,
)
"""Of a delivery, as far as it has come."""
UNDOES: Mapping[str, str] = {"InventoryConfirmed": "InventoryReleased", "PaymentCompleted": "PaymentRefunded"}
"""What was done, and what must be known before the order is cancelled."""

_ends = partial(Violation, "ends-once")
_whole = partial(Violation, "all-or-nothing")


def ends_once(order: Order) -> Iterator[Violation]:
    """It was created, it has one ending, in time, the one that its events say; no hop of its saga is left out.

    Order asks nothing after the ending, and by the deadline not before it; of the delivery no step is left out.
    """
    if order.accepted is None and not order.named.keys() - {"DeadLettered"}:
        return
    if not order.have("OrderCreated"):
        cause = "it was accepted, and no store knows it" if order.accepted else "it has events and was never created"
        yield _ends(order.order_id, hops.hop_to(order, "OrderCreated"), "order", cause)
        return
    endings = list(once_each(order.said(ENDINGS)))
    if not endings:
        if not order.lost:
            stands = short(OrderStatus.Name(hops.outcome_of(order.read_by("order")).status))
            yield _ends(order.order_id, *_first_missing(order), f"it has not ended, and stands at {stands}")
        return
    for ending in endings[1:]:
        hop = hops.taken(order, ending)
        yield _ends(order.order_id, hop, "order", f"it ended again, {ending.name} after {endings[0].name}")
    yield from _by_the_table(order)
    yield from _as_its_events_say(order, endings[0])
    yield from _in_time(order, endings[0])
    yield from _asks_in_time(order, endings[0])
    yield from _step_by_step(order)


def _first_missing(order: Order) -> tuple[str, str]:
    hop = hops.missing(order) or hops.hop_to(order, "OrderCompleted")
    return hop, hop.partition(":")[0]


def _as_its_events_say(order: Order, ending: Event) -> Iterator[Violation]:
    outcome = hops.outcome_of(order.read_by("order"))
    due = short(OrderStatus.Name(outcome.status)), short(outcome.reason), outcome.detail
    said = ("COMPLETED", "", "") if ending.name == "OrderCompleted" else ("CANCELLED", *_reason_of(ending))
    if said != due:
        cause = f"it ended {_show(said)}, and its events say {_show(due)}"
        yield _ends(order.order_id, hops.taken(order, ending), "order", cause)


def _reason_of(ending: Event) -> tuple[str, str]:
    if ending.body is None:
        return "", ""
    fact = hops.saga.fact_of(ending.body)
    return short(fact.reason), fact.detail


def _show(outcome: tuple[str, str, str]) -> str:
    return " ".join(part for part in outcome if part)


def _in_time(order: Order, ending: Event) -> Iterator[Violation]:
    begun_us = order.have("OrderCreated")[0].time_us  # by the same clock as the ending and the deadline
    broken_us = sum(max(0, min(end, ending.time_us) - max(begin, begun_us)) for begin, end in order.setting.faulty)
    took_us = ending.time_us - begun_us - broken_us
    allowed_us = order.setting.deadline_us + GRACE_US
    if took_us > allowed_us:
        cause = f"it ended after {took_us / 1e6:.1f} s without faults, and {allowed_us / 1e6:.1f} s are allowed"
        yield _ends(order.order_id, hops.taken(order, ending), "order", cause)


def _asks_in_time(order: Order, ending: Event) -> Iterator[Violation]:
    due_us = order.have("OrderCreated")[0].time_us + order.setting.deadline_us  # by order's clock, as the requests
    for request in order.have("OrderCancellationRequested"):
        if _after(request, ending):
            hop = f"order: {ending.name} -> {request.name}"
            yield _ends(order.order_id, hop, "order", "its cancellation was asked for after it had ended")
        timed_out = request.body is not None and request.body.reason == Reason.REASON_TIMED_OUT
        if timed_out and request.time_us < due_us - EARLY_US:
            cause = f"its deadline fired {(due_us - request.time_us) / 1e6:.1f} s too early"
            yield _ends(order.order_id, hops.taken(order, request), "order", cause)


def _step_by_step(order: Order) -> Iterator[Violation]:
    steps = {event.body.status for event in order.have("DeliveryProgressed") if event.body is not None}
    left_out = next((step for step in STEPS[: len(steps)] if step not in steps), None)
    if left_out is not None:
        name = DeliveryStatus.Name(left_out).removeprefix("DELIVERY_STATUS_")
        hop = hops.taken(order, order.have("DeliveryProgressed")[-1])
        yield _ends(order.order_id, hop, "shipping", f"its delivery went on, and was never {name}")


def _after(event: Event, ending: Event) -> bool:
    """Whether order stored it after the ending; both are of the same entity."""
    return event.stored is not None and ending.stored is not None and event.stored.version > ending.stored.version


def _by_the_table(order: Order) -> Iterator[Violation]:
    hop = "" if order.lost else hops.missing(order)
    if hop:
        yield _ends(order.order_id, hop, hop.partition(":")[0], "it ended, and this was never done")
    found = hops.unasked(order)
    if found:
        event, hop = found
        yield _ends(order.order_id, hop, event.service, f"nothing that was said of it asked for {event.name}")


def all_or_nothing(order: Order) -> Iterator[Violation]:
    """Completed: everything reserved and shipped, all charged, one parcel. Cancelled: nothing of it remains.

    It is not cancelled before that is known.
    """
    if order.said(["OrderCompleted"]):
        yield from _counts(
            order, dict.fromkeys(("InventoryConfirmed", "StockCommitted", "PaymentCompleted", "Shipped"), 1)
        )
        yield from _counts(order, dict.fromkeys(("InventoryReleased", "PaymentRefunded", "ShipmentFailed"), 0))
        yield from _took(order, _ordered(order), _total(order))
    cancelled = order.said(["OrderCancelled"])
    if cancelled:
        yield from _undone_before(order, cancelled[0])
        yield from _counts(order, {"Shipped": 0, "StockCommitted": 0})
        yield from _took(order, {}, 0)


def _undone_before(order: Order, ending: Event) -> Iterator[Violation]:
    for done, undone in UNDOES.items():
        known = [event for event in order.have("FactRecorded") if event.body is not None and event.body.fact == undone]
        if order.have(done) and known and _after(known[0], ending):
            cause = f"it was cancelled before {undone} was known"
            yield _whole(order.order_id, hops.hop_to(order, undone), "order", cause)


def _counts(order: Order, due: dict[str, int]) -> Iterator[Violation]:
    for name, times in due.items():
        found = {event.message_id for event in order.have(name)}
        if len(found) != times:
            hop = hops.taken(order, order.have(name)[-1]) if found else hops.hop_to(order, name)
            ended = "completed" if order.said(["OrderCompleted"]) else "cancelled"
            cause = f"it is {ended}, with {len(found)} {name} and not {times}"
            yield _whole(order.order_id, hop, hop.partition(":")[0], cause)


def _took(order: Order, goods: Mapping[str, int], money_minor: int) -> Iterator[Violation]:
    """The goods have left the warehouse for it and nothing else is held; so much of its user's money was kept."""
    left: dict[str, int] = {}
    held: dict[str, int] = {}
    for name, sign in (("StockReserved", 1), ("StockReturned", -1), ("StockDispatched", -1)):
        for product, quantity in _moved(order, name):
            held[product] = held.get(product, 0) + sign * quantity
            if name == "StockDispatched":
                left[product] = left.get(product, 0) + quantity
    if left != goods:
        hop = hops.hop_to(order, "StockCommitted")
        yield _whole(order.order_id, hop, "inventory", f"{_pieces(left)} left the warehouse, and not {_pieces(goods)}")
    if any(held.values()):
        hop = hops.hop_to(order, "StockCommitted" if goods else "InventoryReleased")
        yield _whole(order.order_id, hop, "inventory", f"its reservation still holds {_pieces(held)}")
    for what, taken, given in (
        ("charge by what was published", "PaymentCompleted", "PaymentRefunded"),
        ("charge by its account", "AccountDebited", "AccountCredited"),
    ):
        net_minor = _amount(order, taken) - _amount(order, given)
        if net_minor != money_minor:
            hop = hops.hop_to(order, "PaymentCompleted" if money_minor else "PaymentRefunded")
            yield _whole(order.order_id, hop, "payment", f"its net {what} is {net_minor}, and not {money_minor}")


def _moved(order: Order, name: str) -> Iterator[tuple[str, int]]:
    for event in once_each(order.have(name)):
        if event.body is not None:
            yield event.body.product_id, event.body.quantity


def _amount(order: Order, name: str) -> int:
    return sum(event.body.amount.amount_minor for event in once_each(order.have(name)) if event.body is not None)


def _ordered(order: Order) -> Mapping[str, int]:
    """What the customer asked for; if he was never answered, what order has written down."""
    if order.accepted:
        return order.accepted.items
    pieces: dict[str, int] = {}
    for event in order.have("OrderCreated")[:1]:
        for item in event.body.order.items if event.body is not None else ():
            pieces[item.product_id] = pieces.get(item.product_id, 0) + item.quantity
    return pieces


def _total(order: Order) -> int:
    """Of the first confirmation: inventory prices."""
    totals = [e.body.order.total.amount_minor for e in order.have("InventoryConfirmed") if e.body is not None]
    return totals[0] if totals else 0


def _pieces(pieces: Mapping[str, int]) -> str:
    return ", ".join(f"{n} x {product}" for product, n in sorted(pieces.items()) if n) or "nothing"
