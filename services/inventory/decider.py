"""All the business of inventory: reserve, commit or release an order's items; restock; price.

| reservation | Reserve | Release | Commit |
|---|---|---|---|
| none | Confirmed -> reserved, or Rejected -> rejected | Released(no items) -> void | cannot happen |
| reserved | - | Released -> released, stock back | Committed -> committed |
| rejected, void, released | - | - | cannot happen |
| committed | - | cannot happen | - |

`void` is the tombstone of a release that came before its reservation: nothing is reserved after it.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

import msgspec
from google.rpc.code_pb2 import ALREADY_EXISTS, FAILED_PRECONDITION, NOT_FOUND
from shop.common.v1.common_pb2 import Money, Order, OrderItem
from shop.inventory.v1 import events_pb2 as events
from shop.inventory.v1 import service_pb2 as api
from shop.inventory.v1.commands_pb2 import CommitReservation, ReleaseInventory, ReserveInventory

from services import saga
from services.catalogue import Catalogue, Product
from services.engine.participant import (
    CannotHappen,
    Effect,
    Event,
    Handler,
    Participant,
    Refusal,
    Reply,
    State,
    States,
    key,
)

PIECES_MAX = 2**31 - 1
"""Of one product, available and reserved together: what is reserved may come back."""


class Item(msgspec.Struct, frozen=True):
    product_id: str
    quantity: int


class Reservation(State, frozen=True):
    """reservation/<order id>"""

    kind: ClassVar[str] = "reservation"
    status: Literal["none", "reserved", "rejected", "void", "released", "committed"] = "none"
    items: tuple[Item, ...] = ()


class Stock(State, frozen=True):
    """stock/<product id>, in pieces. Nothing grows in here: it is read by every order."""

    kind: ClassVar[str] = "stock"
    opened: bool = False
    available: int = 0
    reserved: int = 0


class Restocked(State, frozen=True):
    """restock/<request id>: remembers the request for ever, since adding stock twice would not be the same."""

    kind: ClassVar[str] = "restock"
    product_id: str = ""
    quantity: int = 0


class OpenStock(msgspec.Struct, frozen=True):
    """Every product of the catalogue that has no stock yet gets its opening one. Given at each start."""

    product_ids: tuple[str, ...]


def keys_of_order(command: ReserveInventory | CommitReservation | ReleaseInventory) -> Sequence[str]:
    order = command.order
    return [key(Reservation, order.order_id), *(key(Stock, item.product_id) for item in order.items)]


def keys_of_opening(command: OpenStock) -> Sequence[str]:
    return [key(Stock, product_id) for product_id in command.product_ids]


def keys_of_restock(command: api.RestockRequest) -> Sequence[str]:
    return [key(Restocked, command.request_id), key(Stock, command.product_id)]


def reserve(catalogue: Catalogue, states: States, command: ReserveInventory) -> list[Effect]:
    order = command.order
    if states.get(Reservation, order.order_id).status != "none":
        return []
    reservation = key(Reservation, order.order_id)
    wanted = Counter[str]()
    for item in order.items:  # the order service adds a product up; a foreign record may have it twice
        wanted[item.product_id] += item.quantity
    for product_id, quantity in wanted.items():
        available = states.get(Stock, product_id).available
        if product_id not in catalogue or available < quantity:
            detail = f"{product_id}: {quantity} wanted, {available} available"
            return [Event(reservation, events.InventoryRejected(order=order, detail=detail))]
    reserved = [
        Event(
            key(Stock, item.product_id),
            events.StockReserved(product_id=item.product_id, quantity=item.quantity, order_id=order.order_id),
        )
        for item in order.items
    ]
    return [Event(reservation, events.InventoryConfirmed(order=price(catalogue, order))), *reserved]


def price(catalogue: Catalogue, order: Order) -> Order:
    """The order with the catalogue's unit prices and their total. All products have one currency (order sees to it)."""
    priced = Order()
    priced.CopyFrom(order)
    total_minor = 0
    for item in priced.items:
        product = catalogue[item.product_id]
        item.unit_price.CopyFrom(Money(amount_minor=product.price_minor, currency=product.currency))
        total_minor += product.price_minor * item.quantity
    currency = catalogue[order.items[0].product_id].currency
    priced.total.CopyFrom(Money(amount_minor=total_minor, currency=currency))
    return priced


def commit(states: States, command: CommitReservation) -> list[Effect]:
    order = command.order
    reservation = states.get(Reservation, order.order_id)
    match reservation.status:
        case "committed":
            return []
        case "reserved":
            dispatched = [
                Event(
                    key(Stock, item.product_id),
                    events.StockDispatched(product_id=item.product_id, quantity=item.quantity, order_id=order.order_id),
                )
                for item in reservation.items
            ]
            return [Event(key(Reservation, order.order_id), events.StockCommitted(order=order)), *dispatched]
        case _:
            raise CannotHappen(f"commit of a reservation that is {reservation.status}")


def release(states: States, command: ReleaseInventory) -> list[Effect]:
    order = command.order
    reservation = states.get(Reservation, order.order_id)
    entity = key(Reservation, order.order_id)
    match reservation.status:
        case "none":
            return [Event(entity, events.InventoryReleased(order=order))]
        case "reserved":
            released = [OrderItem(product_id=i.product_id, quantity=i.quantity) for i in reservation.items]
            returned = [
                Event(
                    key(Stock, item.product_id),
                    events.StockReturned(product_id=item.product_id, quantity=item.quantity, order_id=order.order_id),
                )
                for item in reservation.items
            ]
            return [Event(entity, events.InventoryReleased(order=order, released=released)), *returned]
        case "committed":
            raise CannotHappen("release of a reservation that is committed")
        case _:
            return []


def open_stock(catalogue: Catalogue, states: States, command: OpenStock) -> list[Effect]:
    opened: list[Effect] = [
        Event(key(Stock, i), events.StockOpened(product_id=i, quantity=catalogue[i].stock))
        for i in command.product_ids
        if not states.get(Stock, i).opened
    ]
    return [*opened, Reply(api.ListProductsResponse())]


def restock(catalogue: Catalogue, states: States, command: api.RestockRequest) -> list[Effect]:
    product = catalogue.get(command.product_id)
    if product is None:
        return [Refusal(NOT_FOUND, f"there is no product {command.product_id}", "product_id")]
    stock = states.get(Stock, product.product_id)
    before = states.get(Restocked, command.request_id)
    if before.product_id:
        if (before.product_id, before.quantity) != (command.product_id, command.quantity):
            return [Refusal(ALREADY_EXISTS, "the request id was used for another restock", "request_id")]
        return [Reply(api.RestockResponse(product=describe(product, stock)))]
    if stock.available + stock.reserved + command.quantity > PIECES_MAX:
        return [Refusal(FAILED_PRECONDITION, "no more of it can be stored", "quantity")]
    replenished = events.StockReplenished(
        product_id=product.product_id, quantity=command.quantity, request_id=command.request_id
    )
    accepted = events.RestockAccepted(
        request_id=command.request_id, product_id=product.product_id, quantity=command.quantity
    )
    return [
        Event(key(Restocked, command.request_id), accepted),
        Event(key(Stock, product.product_id), replenished),
        Reply(api.RestockResponse(product=describe(product, replenish(stock, replenished)))),
    ]


def describe(product: Product, stock: Stock) -> api.Product:
    """A product as clients see it."""
    return api.Product(
        product_id=product.product_id,
        name=product.name,
        price=Money(amount_minor=product.price_minor, currency=product.currency),
        available=stock.available,
        reserved=stock.reserved,
    )


def is_asked_for(product: api.Product, request: api.ListProductsRequest) -> bool:
    """Whether a query for products means this one."""
    if request.in_stock and not product.available:
        return False
    if request.HasField("max_price"):
        most = request.max_price
        if product.price.currency != most.currency or product.price.amount_minor > most.amount_minor:
            return False
    text = f"{product.product_id} {product.name}".casefold()
    return all(word in text for word in request.text.casefold().split())


def confirmed(_: Reservation, event: events.InventoryConfirmed) -> Reservation:
    return Reservation("reserved", tuple(Item(i.product_id, i.quantity) for i in event.order.items))


def rejected(_: Reservation, __: events.InventoryRejected) -> Reservation:
    return Reservation("rejected")


def released(state: Reservation, _: events.InventoryReleased) -> Reservation:
    return Reservation("void" if state.status == "none" else "released", state.items)


def committed(state: Reservation, _: events.StockCommitted) -> Reservation:
    return Reservation("committed", state.items)


def stock_opened(_: Stock, event: events.StockOpened) -> Stock:
    return Stock(opened=True, available=event.quantity)


def reserved(state: Stock, event: events.StockReserved) -> Stock:
    return Stock(state.opened, state.available - event.quantity, state.reserved + event.quantity)


def returned(state: Stock, event: events.StockReturned) -> Stock:
    return Stock(state.opened, state.available + event.quantity, state.reserved - event.quantity)


def dispatched(state: Stock, event: events.StockDispatched) -> Stock:
    return Stock(state.opened, state.available, state.reserved - event.quantity)


def replenish(state: Stock, event: events.StockReplenished) -> Stock:
    return Stock(state.opened, state.available + event.quantity, state.reserved)


def accepted(_: Restocked, event: events.RestockAccepted) -> Restocked:
    return Restocked(event.product_id, event.quantity)


def participant(catalogue: Catalogue, mode: saga.Mode = "choreographed") -> Participant:
    path = saga.path_of("inventory", mode)
    product_ids = tuple(catalogue)
    return Participant(
        name="inventory",
        group=path.group,
        topics=path.topics,
        consumes=path.consumes,
        handlers={
            ReserveInventory: Handler(keys_of_order, partial(reserve, catalogue)),
            CommitReservation: Handler(keys_of_order, commit),
            ReleaseInventory: Handler(keys_of_order, release),
            OpenStock: Handler(keys_of_opening, partial(open_stock, catalogue)),
            api.RestockRequest: Handler(keys_of_restock, partial(restock, catalogue)),
        },
        folds={
            events.InventoryConfirmed: confirmed,
            events.InventoryRejected: rejected,
            events.InventoryReleased: released,
            events.StockCommitted: committed,
            events.StockOpened: stock_opened,
            events.StockReserved: reserved,
            events.StockReturned: returned,
            events.StockDispatched: dispatched,
            events.StockReplenished: replenish,
            events.RestockAccepted: accepted,
        },
        states=(Reservation, Stock, Restocked),
        public=saga.PUBLIC,
        unhurried=saga.unhurried("inventory"),
        at_start=(OpenStock(product_ids),),
        about=saga.about,
    )
