"""Reads a shop part by part, in an order that holds no more than a page at once: topics by Kafka, the rest by gRPC.

Each part is a plain row of a history, or stands for one (`Part`). `complete` adds to a history what follows from its
rows. It only reads.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from shop.admin.v1 import service_pb2 as admin
from shop.admin.v1.service_pb2_grpc import AdminServiceStub
from shop.common.v1.common_pb2 import OrderStatus, Reason
from shop.inventory.v1 import events_pb2 as inventory_events
from shop.inventory.v1 import service_pb2 as inventory
from shop.inventory.v1.service_pb2_grpc import InventoryServiceStub
from shop.order.v1.events_pb2 import OrderCreated
from shop.payment.v1 import events_pb2 as payment_events
from shop.payment.v1 import service_pb2 as payment
from shop.payment.v1.service_pb2_grpc import PaymentServiceStub
from shop.status.v1 import lists_pb2 as lists
from shop.status.v1.service_pb2_grpc import StatusServiceStub

from e2e.history import Accepted, Balance, DealtWith, History, Published, StatusAtEnd, StockLevel, Stored
from services.engine.messages import Undecodable, parse_time

RPC_WITHIN_S = 30.0
SILENT_MAX_S = 15.0
READ_MAX = 2_000
QUEUED_MAX_KB = 16_384
"""Of records that the Kafka client has fetched ahead."""
PAGE = 1_000
ORDERS_PAGE = 500
Kafka = str | Mapping[str, Any]
"""Its bootstrap servers; or how to reach it in librdkafka's words, where there is more to say."""


class Addresses(NamedTuple):
    """Where a shop is reached: its broker, and by service the public gRPC listener and the admin's."""

    kafka: Kafka
    public: Mapping[str, str]
    admin: Mapping[str, str]


class Letter(NamedTuple):
    """A dead letter that an operator has dealt with, and the key of its record."""

    key: str
    letter: DealtWith


class Level(NamedTuple):
    """What inventory says of a product at the end, in pieces."""

    product: str
    available: int
    reserved: int


class Holding(NamedTuple):
    """What payment says of an account at the end, in minor units."""

    user: str
    balance: int


class Shown(NamedTuple):
    """What status says of an order at the end."""

    order_id: str
    status: StatusAtEnd


Part = Published | Stored | Letter | Level | Holding | Shown


def parts(shop: Addresses, topics: Sequence[str]) -> Iterator[Part]:
    """Everything, each partition and each store in order. Raises grpc.RpcError, KafkaException or TimeoutError."""
    yield from published(shop.kafka, topics)
    for service, address in shop.admin.items():
        yield from stored(service, address)
        yield from _dealt_with(service, address)
    yield from levels(shop.public["inventory"])
    yield from holdings(shop.public["payment"])
    yield from shown(shop.public["status"])


def add(history: History, part: Part) -> None:
    """To what the history has so far; `complete` it when all parts are there."""
    match part:
        case Published():
            history.published.append(part)
        case Stored():
            history.stored.append(part)
        case Letter():
            history.dealt_with.append(part.letter)
        case Level(product, available, reserved):
            history.stock[product] = StockLevel(0, 0, available, reserved)
        case Holding(user, balance):
            history.accounts[user] = Balance(0, 0, balance)
        case Shown(order_id, status):
            history.statuses[order_id] = status


def complete(history: History) -> None:
    """What was accepted and what came in, by what the services have written down."""
    history.accepted = {order.order_id: order for order in _accepted(history.published)}
    came = CameIn()
    for row in history.stored:
        came.take(row)
    history.stock = {product: came.level(product, level) for product, level in history.stock.items()}
    history.accounts = {user: came.balance(user, balance) for user, balance in history.accounts.items()}


class CameIn:
    """Sums of what came in, by inventory's and payment's rows: at the opening and later."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, str], int] = {}
        self._more: dict[tuple[str, str], int] = {}

    def take(self, row: Stored) -> None:
        match row.type:
            case _Types.stock_opened:
                opened = inventory_events.StockOpened.FromString(row.payload)
                _count(self._opened, ("stock", opened.product_id), opened.quantity)
            case _Types.stock_replenished:
                more = inventory_events.StockReplenished.FromString(row.payload)
                _count(self._more, ("stock", more.product_id), more.quantity)
            case _Types.account_opened:
                account = payment_events.AccountOpened.FromString(row.payload)
                _count(self._opened, ("account", account.user_id), account.balance.amount_minor)
            case _Types.account_credited:
                credit = payment_events.AccountCredited.FromString(row.payload)
                if credit.WhichOneof("source") == "deposit_request_id":
                    _count(self._more, ("account", credit.user_id), credit.amount.amount_minor)
            case _:
                pass

    def level(self, product: str, at_end: StockLevel) -> StockLevel:
        """With `initial` and `restocked`."""
        what = "stock", product
        return StockLevel(self._opened.get(what, 0), self._more.get(what, 0), at_end.available, at_end.reserved)

    def balance(self, user: str, at_end: Balance) -> Balance:
        """With `opening` and `deposited`."""
        what = "account", user
        return Balance(self._opened.get(what, 0), self._more.get(what, 0), at_end.balance)


class _Types:
    """Full names of the events with which something comes in."""

    stock_opened = inventory_events.StockOpened.DESCRIPTOR.full_name
    stock_replenished = inventory_events.StockReplenished.DESCRIPTOR.full_name
    account_opened = payment_events.AccountOpened.DESCRIPTOR.full_name
    account_credited = payment_events.AccountCredited.DESCRIPTOR.full_name


def _count(sums: dict[tuple[str, str], int], what: tuple[str, str], amount: int) -> None:
    sums[what] = sums.get(what, 0) + amount


@contextmanager
def _consumer(kafka: Kafka) -> Generator[Consumer]:
    consumer = Consumer(
        {
            **({"bootstrap.servers": kafka} if isinstance(kafka, str) else kafka),
            "group.id": "history",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": QUEUED_MAX_KB,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def ends(kafka: Kafka, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """The offset behind the last record, of every partition that has any."""
    found: dict[tuple[str, int], int] = {}
    with _consumer(kafka) as consumer:
        known = consumer.list_topics(timeout=RPC_WITHIN_S).topics
        for topic in topics:
            for partition in known[topic].partitions if topic in known else ():
                place = TopicPartition(topic, partition)
                first, end = consumer.get_watermark_offsets(place, timeout=RPC_WITHIN_S)
                if end > first:
                    found[topic, partition] = end
    return found


def published(kafka: Kafka, topics: Sequence[str]) -> Iterator[Published]:
    """All records that are there now, each partition in order."""
    left = ends(kafka, topics)
    with _consumer(kafka) as consumer:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in left])
        deadline = time.monotonic() + SILENT_MAX_S
        while left:
            for message in consumer.consume(READ_MAX, timeout=1.0):
                error = message.error()
                if error is not None:
                    raise KafkaException(error)
                deadline = time.monotonic() + SILENT_MAX_S
                found = _record(message)
                place = (found.topic, found.partition)
                if place in left:
                    yield found
                    if found.offset >= left[place] - 1:
                        del left[place]
            if time.monotonic() > deadline:
                raise TimeoutError(f"the broker has said nothing for {SILENT_MAX_S:g} s; unread: {sorted(left)}")


def _record(message: Any) -> Published:
    headers: dict[str, bytes | None] = dict(message.headers() or ())

    def header(name: str) -> str:
        return (headers.get(name) or b"").decode("utf-8", "replace")

    return Published(
        message.topic(),
        message.partition(),
        message.offset(),
        (message.key() or b"").decode("utf-8", "replace"),
        header("ce_type"),
        header("ce_id"),
        header("ce_causationid"),
        header("ce_source").rpartition("/")[2],
        _time_us(headers.get("ce_time") or b""),
        message.value() or b"",
    )


def _time_us(header: bytes) -> int:
    """When it happened, by its sender's clock, as in the stores; 0 of what does not say so."""
    try:
        return parse_time(header)
    except Undecodable:
        return 0


def stored(service: str, address: str) -> Iterator[Stored]:
    with grpc.insecure_channel(address) as channel:
        stub, after = AdminServiceStub(channel), 0
        while True:
            request = admin.ListEventsRequest(after_seq=after, limit=PAGE)
            page = stub.ListEvents(request, timeout=RPC_WITHIN_S, wait_for_ready=True).events
            for event in page:
                yield Stored(
                    service,
                    event.seq,
                    event.entity,
                    event.version,
                    event.type,
                    event.message_id,
                    event.cause_id,
                    event.topic or None,
                    event.key,
                    event.time.ToMicroseconds(),
                    event.payload,
                )
            if not page:
                return
            after = page[-1].seq


def _dealt_with(service: str, address: str) -> Iterator[Letter]:
    with grpc.insecure_channel(address) as channel:
        stub, after = AdminServiceStub(channel), ""
        while True:
            request = admin.ListDeadLettersRequest(after_id=after, limit=PAGE)
            page = stub.ListDeadLetters(request, timeout=RPC_WITHIN_S, wait_for_ready=True).dead_letters
            for letter in page:
                if letter.status != admin.DeadLetterStatus.DEAD_LETTER_STATUS_OPEN:
                    yield Letter(letter.key.decode("utf-8", "replace") or letter.id, DealtWith(service, letter.id))
            if not page:
                return
            after = page[-1].id


def _accepted(published: Sequence[Published]) -> Iterator[Accepted]:
    for found in published:
        if found.type == OrderCreated.DESCRIPTOR.full_name and found.source == "order":
            event = OrderCreated.FromString(found.payload)
            items = {item.product_id: item.quantity for item in event.order.items}
            yield Accepted(event.order.order_id, event.order.user_id, items, event.accepted_us or found.time_us)


def levels(address: str) -> Iterator[Level]:
    with grpc.insecure_channel(address) as channel:
        request = inventory.ListProductsRequest()
        found = InventoryServiceStub(channel).ListProducts(request, timeout=RPC_WITHIN_S, wait_for_ready=True)
    for product in found.products:
        yield Level(product.product_id, product.available, product.reserved)


def holdings(address: str) -> Iterator[Holding]:
    with grpc.insecure_channel(address) as channel:
        stub, after = PaymentServiceStub(channel), ""
        while True:
            request = payment.ListAccountsRequest(after_user_id=after, limit=PAGE)
            page = stub.ListAccounts(request, timeout=RPC_WITHIN_S, wait_for_ready=True).accounts
            for account in page:
                yield Holding(account.user_id, account.balance.amount_minor)
            if not page:
                return
            after = page[-1].user_id


def shown(address: str) -> Iterator[Shown]:
    with grpc.insecure_channel(address) as channel:
        stub, after = StatusServiceStub(channel), None
        while True:
            request = lists.ListOrdersRequest(after=after, limit=ORDERS_PAGE)
            page = stub.ListOrders(request, timeout=RPC_WITHIN_S, wait_for_ready=True)
            for order in page.orders:
                at_end = StatusAtEnd(
                    OrderStatus.Name(order.status).removeprefix("ORDER_STATUS_"),
                    Reason.Name(order.reason).removeprefix("REASON_") if order.reason else "",
                    order.seq,
                )
                yield Shown(order.order_id, at_end)
            if not page.HasField("next"):
                return
            after = page.next
