"""Inventory as a table: given what has happened, when a command comes, then these events."""

import msgspec
import pytest
from google.rpc.code_pb2 import ALREADY_EXISTS, FAILED_PRECONDITION, NOT_FOUND
from shop.common.v1.common_pb2 import Money, OrderItem
from shop.inventory.v1 import events_pb2 as events
from shop.inventory.v1 import service_pb2 as api
from shop.inventory.v1.commands_pb2 import CommitReservation, ReleaseInventory, ReserveInventory

from services.engine.participant import Event, Reply
from services.inventory.decider import (
    OpenStock,
    Reservation,
    Restocked,
    Stock,
    describe,
    is_asked_for,
    participant,
)
from services.tests.given import Cell, Table, given
from services.tests.shop import CATALOGUE, ORDER_ID, order, priced, usd

INVENTORY = participant(CATALOGUE)
RESERVATION = f"reservation/{ORDER_ID}"
ORDER = order({"product-1": 2, "product-3": 1})
PRICED = priced(ORDER)

RESERVE = ReserveInventory(order=ORDER)
COMMIT = CommitReservation(order=PRICED)
RELEASE = ReleaseInventory(order=PRICED)


def opened(product_id: str, quantity: int) -> Event:
    return Event(f"stock/{product_id}", events.StockOpened(product_id=product_id, quantity=quantity))


def on_stock(kind: type[events.StockReserved | events.StockReturned | events.StockDispatched]) -> list[Event]:
    """That change of stock for every item of the order."""
    return [
        Event(f"stock/{i.product_id}", kind(product_id=i.product_id, quantity=i.quantity, order_id=ORDER_ID))
        for i in ORDER.items
    ]


OPENED = [opened("product-1", 100), opened("product-3", 25)]
CONFIRMED = [Event(RESERVATION, events.InventoryConfirmed(order=PRICED)), *on_stock(events.StockReserved)]
REJECTED = [
    Event(RESERVATION, events.InventoryRejected(order=ORDER, detail="product-3: 1 wanted, 0 available")),
]
RELEASED_NOTHING = [Event(RESERVATION, events.InventoryReleased(order=PRICED))]
RELEASED = [
    Event(RESERVATION, events.InventoryReleased(order=PRICED, released=ORDER.items)),
    *on_stock(events.StockReturned),
]
COMMITTED = [Event(RESERVATION, events.StockCommitted(order=PRICED)), *on_stock(events.StockDispatched)]

HISTORIES = {
    "none": OPENED,
    "reserved": [*OPENED, *CONFIRMED],
    "rejected": [opened("product-1", 100), opened("product-3", 0), *REJECTED],
    "void": [*OPENED, *RELEASED_NOTHING],
    "released": [*OPENED, *CONFIRMED, *RELEASED],
    "committed": [*OPENED, *CONFIRMED, *COMMITTED],
}
CELLS = [
    Cell("none", RESERVE, CONFIRMED, "reserved"),
    Cell("none", RELEASE, RELEASED_NOTHING, "void"),
    Cell("none", COMMIT, None),
    Cell("reserved", RESERVE, [], "reserved"),
    Cell("reserved", RELEASE, RELEASED, "released"),
    Cell("reserved", COMMIT, COMMITTED, "committed"),
    Cell("rejected", RESERVE, [], "rejected"),
    Cell("rejected", RELEASE, [], "rejected"),
    Cell("rejected", COMMIT, None),
    Cell("void", RESERVE, [], "void"),
    Cell("void", RELEASE, [], "void"),
    Cell("void", COMMIT, None),
    Cell("released", RESERVE, [], "released"),
    Cell("released", RELEASE, [], "released"),
    Cell("released", COMMIT, None),
    Cell("committed", RESERVE, [], "committed"),
    Cell("committed", RELEASE, None),
    Cell("committed", COMMIT, [], "committed"),
]


TABLE = Table(INVENTORY, Reservation, ORDER_ID, HISTORIES)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_reservation_follows_the_table(cell: Cell) -> None:
    TABLE.holds(cell)


def test_the_table_has_every_cell() -> None:
    TABLE.is_complete(CELLS)


def test_a_reservation_takes_from_available_and_a_commit_from_reserved() -> None:
    reserved = given(INVENTORY, *OPENED).when(RESERVE)
    assert reserved.state(Stock, "product-1") == Stock(opened=True, available=98, reserved=2)
    committed = given(INVENTORY, *OPENED, *CONFIRMED).when(COMMIT)
    assert committed.state(Stock, "product-1") == Stock(opened=True, available=98, reserved=0)


def test_a_release_gives_everything_back() -> None:
    released = given(INVENTORY, *OPENED, *CONFIRMED).when(RELEASE)
    assert released.state(Stock, "product-1") == Stock(opened=True, available=100, reserved=0)
    assert released.state(Stock, "product-3") == Stock(opened=True, available=25, reserved=0)


def test_one_item_that_is_short_rejects_the_whole_order() -> None:
    when = given(INVENTORY, opened("product-1", 100), opened("product-3", 0)).when(RESERVE)
    when.then(*REJECTED)
    assert when.state(Stock, "product-1") == Stock(opened=True, available=100)


def test_the_last_piece_can_be_reserved() -> None:
    given(INVENTORY, opened("product-1", 2), opened("product-3", 1)).when(RESERVE).then(*CONFIRMED)


def test_a_product_that_the_catalogue_does_not_have_is_rejected() -> None:
    unknown = order({"product-9": 1})
    rejected = events.InventoryRejected(order=unknown, detail="product-9: 1 wanted, 0 available")
    given(INVENTORY).when(ReserveInventory(order=unknown)).then(Event(RESERVATION, rejected))


def test_the_same_product_twice_in_a_foreign_record_is_added_up_before_it_is_compared_with_the_stock() -> None:
    doubled = order({"product-3": 15})
    doubled.items.append(OrderItem(product_id="product-3", quantity=15))
    rejected = events.InventoryRejected(order=doubled, detail="product-3: 30 wanted, 25 available")
    given(INVENTORY, *OPENED).when(ReserveInventory(order=doubled)).then(Event(RESERVATION, rejected))


def test_inventory_prices_the_items_and_the_total() -> None:
    assert [item.unit_price for item in PRICED.items] == [usd(2999), usd(9999)]
    assert PRICED.total == usd(2 * 2999 + 9999)
    assert (PRICED.user_id, PRICED.delivery_address) == (ORDER.user_id, ORDER.delivery_address)


def test_each_product_opens_with_the_stock_of_the_catalogue_once() -> None:
    done = Reply(api.ListProductsResponse())
    opening = given(INVENTORY).when(OpenStock(("product-1", "product-3")))
    opening.then(*OPENED, done)
    given(INVENTORY, *OPENED).when(OpenStock(("product-1", "product-3"))).then(done)


def test_a_new_product_of_the_catalogue_opens_beside_the_old_ones() -> None:
    again = given(INVENTORY, *OPENED).when(OpenStock(("product-1", "product-2", "product-3")))
    again.then(opened("product-2", 50), Reply(api.ListProductsResponse()))


def test_at_its_start_inventory_opens_the_stock_of_every_product() -> None:
    opened_ids = [i for command in INVENTORY.at_start for i in command.product_ids]
    assert opened_ids == list(CATALOGUE)


RESTOCK = api.RestockRequest(request_id="r-1", product_id="product-1", quantity=7)
REPLENISHED = [
    Event("restock/r-1", events.RestockAccepted(request_id="r-1", product_id="product-1", quantity=7)),
    Event("stock/product-1", events.StockReplenished(product_id="product-1", quantity=7, request_id="r-1")),
]


def restocked(available: int) -> Reply:
    return Reply(api.RestockResponse(product=describe(CATALOGUE["product-1"], Stock(True, available))))


def test_a_restock_adds_to_what_is_available() -> None:
    when = given(INVENTORY, *OPENED).when(RESTOCK).then(*REPLENISHED, restocked(107))
    assert when.state(Stock, "product-1").available == 107
    assert when.state(Restocked, "r-1") == Restocked("product-1", 7)


def test_a_repeated_restock_is_answered_the_same_and_adds_nothing() -> None:
    given(INVENTORY, *OPENED, *REPLENISHED).when(RESTOCK).then(restocked(107))


@pytest.mark.parametrize(("product_id", "quantity"), [("product-1", 8), ("product-2", 7)])
def test_a_request_id_that_was_used_for_another_restock_is_refused(product_id: str, quantity: int) -> None:
    other = api.RestockRequest(request_id="r-1", product_id=product_id, quantity=quantity)
    given(INVENTORY, *OPENED, *REPLENISHED).when(other).then_refused(ALREADY_EXISTS, "request_id")


def test_a_product_that_there_is_not_cannot_be_restocked() -> None:
    unknown = api.RestockRequest(request_id="r-1", product_id="product-9", quantity=1)
    given(INVENTORY, *OPENED).when(unknown).then_refused(NOT_FOUND, "product_id")


def test_stock_never_grows_beyond_what_a_number_of_pieces_can_be() -> None:
    full = opened("product-1", 2**31 - 8)
    given(INVENTORY, full).when(RESTOCK).then(*REPLENISHED, restocked(2**31 - 1))
    nearly = opened("product-1", 2**31 - 7)
    given(INVENTORY, nearly).when(RESTOCK).then_refused(FAILED_PRECONDITION, "quantity")


def test_reserved_pieces_count_as_stored_since_they_may_come_back() -> None:
    full = [opened("product-1", 2**31 - 1), opened("product-3", 25), *CONFIRMED]
    one = api.RestockRequest(request_id="r-1", product_id="product-1", quantity=1)
    given(INVENTORY, *full).when(one).then_refused(FAILED_PRECONDITION, "quantity")


def test_a_product_is_described_with_its_price_and_both_counts() -> None:
    widget = api.Product(product_id="product-1", name="Premium Widget", price=usd(2999), available=98, reserved=2)
    assert describe(CATALOGUE["product-1"], Stock(True, 98, 2)) == widget


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (api.ListProductsRequest(), True),
        (api.ListProductsRequest(text="widget PREM"), True),
        (api.ListProductsRequest(text="product-1"), True),
        (api.ListProductsRequest(text="widget deluxe"), False),
        (api.ListProductsRequest(in_stock=True), False),
        (api.ListProductsRequest(max_price=usd(2999)), True),
        (api.ListProductsRequest(max_price=usd(2998)), False),
        (api.ListProductsRequest(max_price=Money(amount_minor=9999, currency="EUR")), False),
    ],
)
def test_a_query_finds_products_by_words_stock_and_price(request_: api.ListProductsRequest, found: bool) -> None:
    assert is_asked_for(describe(CATALOGUE["product-1"], Stock(True, 0, 2)), request_) == found


def test_a_query_for_what_is_in_stock_finds_what_is_there() -> None:
    assert is_asked_for(describe(CATALOGUE["product-1"], Stock(True, 1)), api.ListProductsRequest(in_stock=True))


def test_the_states_survive_being_stored() -> None:
    state = given(INVENTORY, *OPENED, *CONFIRMED).when(RESERVE).state(Reservation, ORDER_ID)
    assert msgspec.json.decode(msgspec.json.encode(state), type=Reservation) == state
