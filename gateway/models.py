"""The JSON that clients send and get: camelCase, enums as bare names, money as whole minor units."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

ORDER_EXAMPLE: JsonDict = {
    "userId": "user-1",
    "items": [{"productId": "product-1", "quantity": 2}],
    "deliveryAddress": "1 Main Street",
}

ProductId = Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,64}$")]


class _Incoming(BaseModel):
    """Strict: no coercion ("1" is no number, 1.5 no integer), and an unknown field is refused."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="forbid")


class OrderLine(_Incoming):
    product_id: ProductId
    quantity: int = Field(ge=1, le=1000)


class OrderRequest(_Incoming):
    """An order as a customer asks for it. The same product twice is added up."""

    model_config = ConfigDict(json_schema_extra={"examples": [ORDER_EXAMPLE]})

    user_id: str = Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")
    items: list[OrderLine] = Field(min_length=1, max_length=1000)
    delivery_address: str | None = Field(
        default=None, max_length=500, pattern=r"^[^\x00-\x09\x0b\x0c\x0e-\x1f\x7f]*$", description="Lines are allowed."
    )


class _Outgoing(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


T = TypeVar("T")


class Page(_Outgoing, Generic[T]):
    """A list in pages; `nextCursor` is null on the last."""

    items: list[T]
    next_cursor: str | None


class Money(_Outgoing):
    amount_minor: int
    currency: str


class OrderAnswer(_Outgoing):
    order_id: str
    status: str


class Item(_Outgoing):
    product_id: str
    quantity: int
    unit_price: Money | None


class Payment(_Outgoing):
    status: str = Field(description="PENDING, COMPLETED, FAILED or REFUNDED.")
    amount: Money | None
    refunded: Money | None


class Delivery(_Outgoing):
    status: str = Field(description="PENDING, IN_TRANSIT, OUT_FOR_DELIVERY or DELIVERED.")
    tracking_number: str | None
    address: str | None


class TimelineEntry(_Outgoing):
    type: str
    time: str
    service: str
    detail: str | None


class StatusDocument(_Outgoing):
    """An order as its customer sees it. `seq` grows with each fact that becomes known; 0 is a bare acceptance."""

    order_id: str
    user_id: str
    status: str = Field(
        description="PENDING, AWAITING_PAYMENT, AWAITING_SHIPMENT, COMPENSATING, COMPLETED or CANCELLED; never back."
    )
    reason: str | None = Field(
        description="Of CANCELLED: OUT_OF_STOCK, INSUFFICIENT_FUNDS, SHIPMENT_FAILED, CANCELLED_BY_CUSTOMER, TIMED_OUT."
    )
    reason_detail: str | None
    items: list[Item]
    total: Money | None
    payment: Payment
    delivery: Delivery
    timeline: list[TimelineEntry]
    seq: int


class Product(_Outgoing):
    product_id: str
    name: str
    price: Money
    available: int
    reserved: int


class Overview(_Outgoing):
    """What was sold. Amounts, and what is counted of sales, are of one currency."""

    completed: int
    cancelled: int = Field(description="In whatever currency.")
    cancelled_by_reason: dict[str, int] = Field(description="Only reasons that occurred.")
    customers: int = Field(description="Who has completed an order, in whatever currency.")
    pieces: int
    revenue: Money
    refunded: Money = Field(description="Charged for orders that were cancelled, and given back; no revenue.")
    average_order_value: Money
    currencies: list[str] = Field(description="All in which something was sold.")


class LifetimeValue(_Outgoing):
    user_id: str
    orders: int = Field(description="Completed ones.")
    value: Money = Field(description="The sum of their totals.")


class Popularity(_Outgoing):
    product_id: str
    name: str | None = Field(description="null if the catalogue does not have it any more.")
    pieces: int
    orders: int
    revenue: Money


class DailySales(_Outgoing):
    day: str = Field(json_schema_extra={"format": "date"}, description="In UTC.")
    orders: int = Field(description="Completed ones.")
    pieces: int
    revenue: Money
    refunded: Money
    cancelled: int = Field(description="Orders, in whatever currency.")
