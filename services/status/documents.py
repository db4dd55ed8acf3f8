"""What is shown of an order: the `/status` document, a line in a list, the steps of its saga."""

from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from shop.common.v1.common_pb2 import DeliveryStatus, Money, Order
from shop.inventory.v1.commands_pb2 import ReleaseInventory
from shop.payment.v1.commands_pb2 import RefundPayment
from shop.status.v1 import lists_pb2 as lists
from shop.status.v1 import service_pb2 as pb

from services import saga
from services.saga import SAGA, TOPIC_OF
from services.status.fold import Seen, StatusState

STEPS = [value.name for value in DeliveryStatus.DESCRIPTOR.values]
"""Names of shop.common.v1.DeliveryStatus, in their order."""
SERVICE_OF = {cls.DESCRIPTOR.name: saga.full_name(cls).split(".")[1] for cls in TOPIC_OF}
"""Short name of a public event -> the service that says it."""
UNDOING = frozenset(
    event.DESCRIPTOR.name
    for row in SAGA
    if row.command in (ReleaseInventory, RefundPayment)
    for event in (row.event, *row.answers)
)
"""Short names of the events that undo, or that say that it has to be done."""

_ENDINGS = ("OrderCompleted", "OrderCancelled")


def document(state: StatusState) -> pb.StatusDocument:
    """What `/status` shows of an order."""
    order = Order.FromString(state.order)
    outcome = state.outcome
    return pb.StatusDocument(
        order_id=order.order_id,
        user_id=order.user_id,
        status=outcome.status,
        reason=outcome.reason,
        reason_detail=outcome.detail,
        items=order.items,
        total=order.total if order.HasField("total") else None,
        payment=_payment(state.seen),
        delivery=_delivery(state.seen, order.delivery_address),
        timeline=[_entry(name, seen) for name, seen in _by_time(state)],
        seq=len(state.seen),
    )


def summary(state: StatusState) -> lists.OrderSummary:
    """An order in a list."""
    order = Order.FromString(state.order)
    outcome = state.outcome
    times = [seen.time_us for seen in state.seen.values()]
    return lists.OrderSummary(
        order_id=order.order_id,
        user_id=order.user_id,
        status=outcome.status,
        reason=outcome.reason,
        reason_detail=outcome.detail,
        items=order.items,
        total=order.total if order.HasField("total") else None,
        delivery=_reached(state.seen),
        created_at=timestamp(min(times)),
        updated_at=timestamp(max(times)),
        seq=len(state.seen),
    )


def saga_of(state: StatusState) -> lists.Saga:
    """An order's saga, step by step, without its delivery."""
    order = Order.FromString(state.order)
    outcome = state.outcome
    steps = [(name, seen) for name, seen in _by_time(state) if not name.startswith("DeliveryProgressed")]
    begun_us = min(seen.time_us for seen in state.seen.values())
    duration = None
    if outcome.ended and steps:
        told = [seen.time_us for name, seen in steps if name in _ENDINGS]
        duration = _duration(max(told or [steps[-1][1].time_us]) - begun_us)
    return lists.Saga(
        order_id=order.order_id,
        user_id=order.user_id,
        status=outcome.status,
        reason=outcome.reason,
        reason_detail=outcome.detail,
        started_at=timestamp(begun_us),
        duration=duration,
        steps=[
            _step(name, seen, seen.time_us - before)
            for (name, seen), before in zip(steps, [begun_us, *(seen.time_us for _, seen in steps)], strict=False)
        ],
    )


def _step(name: str, seen: Seen, after_us: int) -> lists.SagaStep:
    short, _, suffix = name.partition("/")
    return lists.SagaStep(
        type=short,
        service=SERVICE_OF[short],
        time=timestamp(seen.time_us),
        since_previous=_duration(after_us),
        compensation=short in UNDOING,
        detail=_detail(seen, suffix),
    )


def timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)


def _duration(us: int) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(us)
    return duration


def _by_time(state: StatusState) -> list[tuple[str, Seen]]:
    return sorted(state.seen.items(), key=lambda item: (item[1].time_us, item[0]))


def _payment(seen: Mapping[str, Seen]) -> pb.Payment:
    amount, refunded = _money(seen.get("PaymentCompleted")), _money(seen.get("PaymentRefunded"))
    if refunded is not None:
        return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_REFUNDED, amount=amount, refunded=refunded)
    if "PaymentFailed" in seen:
        return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_FAILED)
    if amount is not None:
        return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_COMPLETED, amount=amount)
    return pb.Payment(status=pb.PaymentStatus.PAYMENT_STATUS_PENDING)


def _money(seen: Seen | None) -> Money | None:
    return None if seen is None else Money(amount_minor=seen.amount_minor, currency=seen.currency)


def _delivery(seen: Mapping[str, Seen], address: str) -> pb.Delivery:
    shipped = seen.get("Shipped")
    tracking_number = "" if shipped is None else shipped.tracking_number
    return pb.Delivery(status=_reached(seen), tracking_number=tracking_number, address=address)


def _reached(seen: Mapping[str, Seen]) -> str | None:
    """How far the parcel is; None where none has been shipped."""
    if "Shipped" not in seen:
        return None
    reached = [step for step in STEPS if f"DeliveryProgressed/{step}" in seen]
    return reached[-1] if reached else "DELIVERY_STATUS_PENDING"


def _entry(name: str, seen: Seen) -> pb.TimelineEntry:
    short, _, suffix = name.partition("/")
    return pb.TimelineEntry(
        type=short, time=timestamp(seen.time_us), service=SERVICE_OF[short], detail=_detail(seen, suffix)
    )


def _detail(seen: Seen, suffix: str) -> str:
    return seen.detail or suffix.removeprefix("DELIVERY_STATUS_").removeprefix("REASON_")
