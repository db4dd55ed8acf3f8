"""What marketing answers, computed from its rows when it is asked. Amounts are whole minor units, of one currency."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from shop.common.v1.common_pb2 import Money, Reason
from shop.marketing.v1 import service_pb2 as pb

from services.catalogue import Catalogue
from services.marketing.fold import CustomerState, DayState, ProductState, Sales

DAYS_MAX = 3_660
"""Days that one answer has: ten years."""

_NOTHING = Sales()


def overview(days: Iterable[DayState], customers: int, currency: str) -> pb.GetOverviewResponse:
    total, currencies, reasons = _NOTHING, set[str](), Counter[str]()
    for day in days:
        total += day.sales.get(currency, _NOTHING)
        currencies |= {code for code, sales in day.sales.items() if sales.orders}
        reasons.update(day.cancelled)
    return pb.GetOverviewResponse(
        completed=total.orders,
        cancelled=reasons.total(),
        cancelled_by_reason=[
            pb.CancelledOrders(reason=name, orders=reasons[name]) for name in sorted(reasons, key=Reason.Value)
        ],
        customers=customers,
        pieces=total.pieces,
        revenue=Money(amount_minor=total.revenue_minor, currency=currency),
        refunded=Money(amount_minor=total.refunded_minor, currency=currency),
        average_order_value=Money(amount_minor=average(total.revenue_minor, total.orders), currency=currency),
        currencies=sorted(currencies),
    )


def average(sum_minor: int, count: int) -> int:
    """Rounded to the nearest, half up; 0 of nothing."""
    return (2 * sum_minor + count) // (2 * count) if count else 0


def lifetime_values(
    customers: Sequence[tuple[str, CustomerState]], currency: str, limit: int
) -> pb.ListLifetimeValuesResponse:
    """The page of these customers, who come as the list does; one more than `limit` says that there is a next."""
    values = [
        pb.LifetimeValue(
            user_id=user_id,
            orders=customer.sales[currency].orders,
            value=Money(amount_minor=customer.sales[currency].revenue_minor, currency=currency),
        )
        for user_id, customer in customers[:limit]
    ]
    response = pb.ListLifetimeValuesResponse(values=values)
    if len(customers) > limit:
        last = values[-1]
        response.next.CopyFrom(pb.LifetimeValuePosition(amount_minor=last.value.amount_minor, user_id=last.user_id))
    return response


def popularity(
    products: Mapping[str, ProductState], catalogue: Catalogue, currency: str, limit: int
) -> pb.ListPopularityResponse:
    sold = [(product_id, state.sales[currency]) for product_id, state in products.items() if currency in state.sales]
    sold.sort(key=lambda each: (-each[1].pieces, -each[1].orders, each[0]))
    return pb.ListPopularityResponse(
        products=[
            pb.Popularity(
                product_id=product_id,
                name=catalogue[product_id].name if product_id in catalogue else "",
                pieces=sales.pieces,
                orders=sales.orders,
                revenue=Money(amount_minor=sales.revenue_minor, currency=currency),
            )
            for product_id, sales in sold[:limit]
        ]
    )


def daily_sales(days: Mapping[str, DayState], currency: str, first: str, last: str) -> pb.ListDailySalesResponse:
    """Of the days from `first` to `last`, as 2026-01-31; '' is no bound."""
    wanted = sorted(day for day in days if first <= day and (not last or day <= last))
    return pb.ListDailySalesResponse(days=[_daily(day, days[day], currency) for day in wanted[-DAYS_MAX:]])


def _daily(day: str, state: DayState, currency: str) -> pb.DailySales:
    sales = state.sales.get(currency, _NOTHING)
    return pb.DailySales(
        day=day,
        orders=sales.orders,
        pieces=sales.pieces,
        revenue=Money(amount_minor=sales.revenue_minor, currency=currency),
        refunded=Money(amount_minor=sales.refunded_minor, currency=currency),
        cancelled=sum(state.cancelled.values()),
    )
