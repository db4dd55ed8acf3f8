"""The gateway's JSON documents as types: what the commands read of them. Fields that are not named here are ignored."""

from datetime import datetime

import msgspec

ENDINGS = frozenset({"COMPLETED", "CANCELLED"})


class Document(msgspec.Struct, rename="camel", frozen=True):
    """A JSON object with camelCase names."""


class Money(Document, frozen=True):
    """An amount in minor units (cents for USD)."""

    amount_minor: int
    currency: str


class Product(Document, frozen=True):
    """A product of the catalogue and its stock."""

    product_id: str
    name: str
    price: Money
    available: int
    reserved: int


class Accepted(Document, frozen=True):
    """The answer to a new order and to a cancellation that was taken on."""

    order_id: str
    status: str


class Item(Document, frozen=True):
    """One line of an order."""

    product_id: str
    quantity: int


class Payment(Document, frozen=True):
    """What was charged for an order and what was given back."""

    status: str
    amount: Money | None = None
    refunded: Money | None = None


class Delivery(Document, frozen=True):
    """How far an order's parcel is."""

    status: str
    tracking_number: str | None = None
    address: str | None = None


class Entry(Document, frozen=True):
    """One event of an order's timeline."""

    type: str
    time: datetime
    service: str
    detail: str | None = None


class Order(Document, frozen=True):
    """`/status/{orderId}`: one order as the whole system knows it."""

    order_id: str
    status: str
    seq: int
    user_id: str = ""
    reason: str | None = None
    reason_detail: str | None = None
    items: tuple[Item, ...] = ()
    total: Money | None = None
    payment: Payment | None = None
    delivery: Delivery | None = None
    timeline: tuple[Entry, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether status and reason will not change any more (the parcel may still be on its way)."""
        return self.status in ENDINGS


class Overview(Document, frozen=True):
    """`/marketing/overview`: what was sold in all, in one currency."""

    completed: int
    cancelled: int
    cancelled_by_reason: dict[str, int]
    customers: int
    pieces: int
    revenue: Money
    refunded: Money
    average_order_value: Money


class Customer(Document, frozen=True):
    """For how much somebody has bought."""

    user_id: str
    orders: int
    value: Money


class Customers(Document, frozen=True):
    """A page of `/marketing/ltv`."""

    items: tuple[Customer, ...]


class Popular(Document, frozen=True):
    """How much of a product was bought."""

    product_id: str
    pieces: int
    orders: int
    revenue: Money
    name: str | None = None


class Day(Document, frozen=True):
    """What ended on a day."""

    day: str
    orders: int
    pieces: int
    revenue: Money
    refunded: Money
    cancelled: int


order_decoder = msgspec.json.Decoder(Order)
products_decoder = msgspec.json.Decoder(list[Product])
product_decoder = msgspec.json.Decoder(Product)
overview_decoder = msgspec.json.Decoder(Overview)
customers_decoder = msgspec.json.Decoder(Customers)
popularity_decoder = msgspec.json.Decoder(list[Popular])
days_decoder = msgspec.json.Decoder(list[Day])
accepted_decoder = msgspec.json.Decoder(Accepted)
