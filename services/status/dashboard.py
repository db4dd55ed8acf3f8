"""The dashboard: the sums of all partitions as one, and the open orders by status."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from shop.common.v1.common_pb2 import Money, OrderStatus
from shop.status.v1 import dashboard_pb2 as pb

from services.status.figures import MINUTES_KEPT, STEP, FiguresState, Minute

_K = TypeVar("_K")


def dashboard(
    figures: Iterable[FiguresState], open_orders: Mapping[OrderStatus, int], open_is_partial: bool
) -> pb.Dashboard:
    """`figures`: of each partition; `open_orders`: by status."""
    figures = list(figures)
    minutes = _minutes(figures)
    reasons = _sums(each.reasons for each in figures)
    revenue = _sums(each.revenue for each in figures)
    return pb.Dashboard(
        accepted=sum(each.accepted for each in figures),
        completed=sum(each.completed for each in figures),
        cancelled=sum(each.cancelled for each in figures),
        reasons=[pb.ReasonCount(reason=name, orders=n) for name, n in sorted(reasons.items())],
        open=[pb.StatusCount(status=status, orders=n) for status, n in sorted(open_orders.items())],
        open_is_partial=open_is_partial,
        revenue=[Money(amount_minor=minor, currency=currency) for currency, minor in sorted(revenue.items())],
        latency=_latency(_sums(minute.latencies for _, minute in minutes)),
        minutes=[
            pb.Minute(
                begins_at=Timestamp(seconds=number * 60),
                accepted=minute.accepted,
                completed=minute.completed,
                cancelled=minute.cancelled,
            )
            for number, minute in minutes
        ],
    )


def _minutes(figures: Sequence[FiguresState]) -> list[tuple[int, Minute]]:
    """The last of all of them, in order."""
    numbers = sorted({number for each in figures for number in each.minutes})
    newest = numbers[-1] if numbers else 0
    return [
        (number, _minute([each.minutes[number] for each in figures if number in each.minutes]))
        for number in numbers
        if number > newest - MINUTES_KEPT
    ]


def _minute(parts: Sequence[Minute]) -> Minute:
    return Minute(
        sum(part.accepted for part in parts),
        sum(part.completed for part in parts),
        sum(part.cancelled for part in parts),
        _sums(part.latencies for part in parts),
    )


def _latency(classes: Mapping[int, int]) -> pb.Latency:
    orders = sum(classes.values())
    if not orders:
        return pb.Latency()
    p50, p95, p99 = (_percentile(classes, orders, share) for share in (0.5, 0.95, 0.99))
    return pb.Latency(orders=orders, p50_ms=p50, p95_ms=p95, p99_ms=p99)


def _percentile(classes: Mapping[int, int], orders: int, share: float) -> float:
    """In ms: the middle of the class in which the order of this rank is."""
    below = 0
    for number, count in sorted(classes.items()):
        below += count
        if below >= share * orders:
            return round(STEP**number, 1)
    raise ValueError(f"there are fewer than {orders} orders")


def _sums(parts: Iterable[Mapping[_K, int]]) -> dict[_K, int]:
    sums: dict[_K, int] = {}
    for part in parts:
        for name, count in part.items():
            sums[name] = sums.get(name, 0) + count
    return sums
