"""Takes down the history of a running shop: its topics by Kafka, its stores and sums by gRPC. It only reads.

What customers were told and saw, and what was broken, only whoever did it knows: that is given. Where nothing is known
of customers, the orders that were created count as accepted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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

from e2e.history import Accepted, Balance, DealtWith, History, Mode, Published, StatusAtEnd, StockLevel, Stored
from services.engine.messages import Undecodable, parse_time

RPC_WITHIN_S = 30.0
SILENT_MAX_S = 15.0
READ_MAX = 2_000
PAGE = 1_000
LOOK_EVERY_S = 0.2
ORDERS_PAGE = 500
DEADLINE_US = 30_000_000
_READ_MODELS = ("status", "marketing")
"""Services that store no events of their own."""

Told = Callable[[str], None]


class Addresses(NamedTuple):
    """Where a shop is reached: its broker, and by service the public gRPC listener and the admin's."""

    kafka: str
    public: Mapping[str, str]
    admin: Mapping[str, str]


class NotAtRest(Exception):
    """Something is still under way; the message says what."""


def record(
    shop: Addresses,
    topics: Sequence[str],
    *,
    rest_within_s: float,
    deadline_us: int = DEADLINE_US,
    tell: Told = lambda _: None,
) -> History:
    """The history of a shop, once it is at rest; with 0 seconds, as it is.

    tell: is given a line for each part that has been read
    Raises grpc.RpcError, KafkaException or TimeoutError where a part does not answer, and NotAtRest.
    """
    deadline = time.monotonic() + rest_within_s
    while True:
        mode = _wait_for_rest(shop, rest_within_s and max(0.1, deadline - time.monotonic()), tell)
        before = _ends(shop.kafka, topics)
        history = _taken(shop, mode, topics, deadline_us, tell)
        if not rest_within_s or _ends(shop.kafka, topics) == before:
            return history
        if time.monotonic() > deadline:
            raise NotAtRest(f"not at rest within {rest_within_s:g} s: records come all the time")
        tell("something was said meanwhile, a delivery's step perhaps: once more")


def _taken(shop: Addresses, mode: Mode, topics: Sequence[str], deadline_us: int, tell: Told) -> History:
    history = History(mode, deadline_us, time.time_ns() // 1000)
    history.published = list(_published(shop.kafka, topics))
    tell(f"{len(history.published)} records of {len(topics)} topics")
    for service, address in shop.admin.items():
        if service not in _READ_MODELS:
            history.stored += _stored(service, address)
        history.dealt_with += _dealt_with(service, address)
    tell(f"{len(history.stored)} events of {len(shop.admin) - len(_READ_MODELS)} stores")
    history.accepted = {order.order_id: order for order in _accepted(history.published)}
    history.stock = _stock(shop.public["inventory"], history.stored)
    history.accounts = _accounts(shop.public["payment"], history.stored)
    history.statuses = _statuses(shop.public["status"])
    tell(f"{len(history.statuses)} orders, {len(history.stock)} products, {len(history.accounts)} accounts")
    return history


def _wait_for_rest(shop: Addresses, within_s: float, tell: Told) -> Mode:
    """Until every service has read all that there is and no order is open; the mode."""
    deadline, told = time.monotonic() + within_s, ""
    with ExitStack() as channels:

        def channel(address: str) -> grpc.Channel:
            return channels.enter_context(grpc.insecure_channel(address))

        admins = {service: AdminServiceStub(channel(address)) for service, address in shop.admin.items()}
        status = StatusServiceStub(channel(shop.public["status"]))
        while True:
            infos = {
                service: stub.GetInfo(admin.GetInfoRequest(), timeout=RPC_WITHIN_S, wait_for_ready=True)
                for service, stub in admins.items()
            }
            behind = [f"{service} is {info.lag} records behind" for service, info in infos.items() if info.lag]
            request = lists.ListOrdersRequest(filter=lists.OrderFilter(phase=lists.PHASE_OPEN), limit=1)
            if status.ListOrders(request, timeout=RPC_WITHIN_S, wait_for_ready=True).orders:
                behind.append("orders are open")
            if not behind or not within_s:
                return "orchestrated" if infos["order"].saga_mode == "orchestrated" else "choreographed"
            waiting = "; ".join(behind)
            if time.monotonic() > deadline:
                raise NotAtRest(f"not at rest within {within_s:g} s: {waiting}")
            if not told:
                told = waiting
                tell(f"waiting until all is at rest: {waiting}")
            time.sleep(LOOK_EVERY_S)  # between two looks at a condition


@contextmanager
def _consumer(bootstrap_servers: str) -> Generator[Consumer]:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "history", "enable.auto.commit": False})
    try:
        yield consumer
    finally:
        consumer.close()


def _ends(bootstrap_servers: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """The offset behind the last record, of every partition that has any."""
    ends: dict[tuple[str, int], int] = {}
    with _consumer(bootstrap_servers) as consumer:
        known = consumer.list_topics(timeout=RPC_WITHIN_S).topics
        for topic in topics:
            for partition in known[topic].partitions if topic in known else ():
                place = TopicPartition(topic, partition)
                first, end = consumer.get_watermark_offsets(place, timeout=RPC_WITHIN_S)
                if end > first:
                    ends[topic, partition] = end
    return ends


def _published(bootstrap_servers: str, topics: Sequence[str]) -> Iterator[Published]:
    """All records that are there now, each partition in order."""
    ends = _ends(bootstrap_servers, topics)
    with _consumer(bootstrap_servers) as consumer:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in ends])
        deadline = time.monotonic() + SILENT_MAX_S
        while ends:
            for message in consumer.consume(READ_MAX, timeout=1.0):
                error = message.error()
                if error is not None:
                    raise KafkaException(error)
                deadline = time.monotonic() + SILENT_MAX_S
                found = _record(message)
                place = (found.topic, found.partition)
                if place in ends:
                    yield found
                    if found.offset >= ends[place] - 1:
                        del ends[place]
            if time.monotonic() > deadline:
                raise TimeoutError(f"the broker has said nothing for {SILENT_MAX_S:g} s; unread: {sorted(ends)}")


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


def _stored(service: str, address: str) -> Iterator[Stored]:
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


def _dealt_with(service: str, address: str) -> Iterator[DealtWith]:
    with grpc.insecure_channel(address) as channel:
        stub, after = AdminServiceStub(channel), ""
        while True:
            request = admin.ListDeadLettersRequest(after_id=after, limit=PAGE)
            page = stub.ListDeadLetters(request, timeout=RPC_WITHIN_S, wait_for_ready=True).dead_letters
            for letter in page:
                if letter.status != admin.DeadLetterStatus.DEAD_LETTER_STATUS_OPEN:
                    yield DealtWith(service, letter.id)
            if not page:
                return
            after = page[-1].id


def _accepted(published: Sequence[Published]) -> Iterator[Accepted]:
    for found in published:
        if found.type == OrderCreated.DESCRIPTOR.full_name and found.source == "order":
            event = OrderCreated.FromString(found.payload)
            items = {item.product_id: item.quantity for item in event.order.items}
            yield Accepted(event.order.order_id, event.order.user_id, items, event.accepted_us or found.time_us)


def _stock(address: str, stored: Sequence[Stored]) -> dict[str, StockLevel]:
    """`initial` and `restocked` by what inventory has written down."""
    came_in = {inventory_events.StockOpened: dict[str, int](), inventory_events.StockReplenished: dict[str, int]()}
    for cls, pieces in came_in.items():
        for event in stored:
            if event.service == "inventory" and event.type == cls.DESCRIPTOR.full_name:
                body = cls.FromString(event.payload)
                pieces[body.product_id] = pieces.get(body.product_id, 0) + body.quantity
    opened, restocked = came_in.values()
    with grpc.insecure_channel(address) as channel:
        request = inventory.ListProductsRequest()
        found = InventoryServiceStub(channel).ListProducts(request, timeout=RPC_WITHIN_S, wait_for_ready=True)
    return {
        p.product_id: StockLevel(opened.get(p.product_id, 0), restocked.get(p.product_id, 0), p.available, p.reserved)
        for p in found.products
    }


def _accounts(address: str, stored: Sequence[Stored]) -> dict[str, Balance]:
    """`opening` and `deposited` by what payment has written down."""
    opened, deposited = dict[str, int](), dict[str, int]()
    for event in stored:
        if event.type == payment_events.AccountOpened.DESCRIPTOR.full_name:
            body = payment_events.AccountOpened.FromString(event.payload)
            opened[body.user_id] = body.balance.amount_minor
        elif event.type == payment_events.AccountCredited.DESCRIPTOR.full_name:
            credit = payment_events.AccountCredited.FromString(event.payload)
            if credit.WhichOneof("source") == "deposit_request_id":
                deposited[credit.user_id] = deposited.get(credit.user_id, 0) + credit.amount.amount_minor
    accounts, after = dict[str, Balance](), ""
    with grpc.insecure_channel(address) as channel:
        stub = PaymentServiceStub(channel)
        while True:
            request = payment.ListAccountsRequest(after_user_id=after, limit=PAGE)
            page = stub.ListAccounts(request, timeout=RPC_WITHIN_S, wait_for_ready=True).accounts
            for a in page:
                accounts[a.user_id] = Balance(
                    opened.get(a.user_id, 0), deposited.get(a.user_id, 0), a.balance.amount_minor
                )
            if not page:
                return accounts
            after = page[-1].user_id


def _statuses(address: str) -> dict[str, StatusAtEnd]:
    statuses: dict[str, StatusAtEnd] = {}
    with grpc.insecure_channel(address) as channel:
        stub, after = StatusServiceStub(channel), None
        while True:
            request = lists.ListOrdersRequest(after=after, limit=ORDERS_PAGE)
            page = stub.ListOrders(request, timeout=RPC_WITHIN_S, wait_for_ready=True)
            for order in page.orders:
                statuses[order.order_id] = StatusAtEnd(
                    OrderStatus.Name(order.status).removeprefix("ORDER_STATUS_"),
                    Reason.Name(order.reason).removeprefix("REASON_") if order.reason else "",
                    order.seq,
                )
            if not page.HasField("next"):
                return statuses
            after = page.next
