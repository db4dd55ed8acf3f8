"""What a message costs in each service's loop, without a broker: `python -m bench.loops`.

Orders run through the real deciders, the real engine and a real store, one service after the other, in batches of one
size; a broker in memory hands the records on, with their headers. What is not in it: Kafka's clients, gRPC, waiting.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import uuid_utils
from shop.inventory.v1.service_pb2 import RestockRequest
from shop.order.v1.service_pb2 import PlaceOrderRequest

from services import catalogue
from services.engine.faults import Faults
from services.engine.loop import Engine
from services.engine.messages import Message, Record
from services.engine.participant import Participant
from services.engine.retry import Retry, TransientError
from services.engine.sqlite import SqliteStore
from services.engine.store import StoredEvent
from services.inventory import decider as inventory
from services.marketing import fold as marketing
from services.notification import decider as notification
from services.order import decider as order
from services.payment import decider as payment
from services.shipping import decider as shipping
from services.status import fold as status

STEP_S = 2.0
USERS = 500


class Topics:
    """A broker in memory: what each service has still to read."""

    def __init__(self, participants: Sequence[Participant]) -> None:
        self._readers: dict[str, list[list[Record]]] = defaultdict(list)
        self.waiting: dict[str, list[Record]] = {}
        for participant in participants:
            mine: list[Record] = []
            self.waiting[participant.name] = mine
            for topic in participant.topics:
                self._readers[topic].append(mine)

    def publisher(self, source: str) -> Publisher:
        return Publisher(source, self._readers)


class Publisher:
    """`services.engine.loop.Publisher` that always succeeds."""

    def __init__(self, source: str, readers: dict[str, list[list[Record]]]) -> None:
        self._source, self._readers = source, readers

    def publish(
        self, events: Sequence[StoredEvent], halfway: Callable[[], None] | None
    ) -> tuple[list[int], TransientError | None]:
        assert halfway is None, "nothing here injects faults"
        for event in events:
            headers = event.headers(self._source)
            record = Record(event.topic or "", 0, event.seq, event.key.encode(), dict(headers), event.payload)
            for reader in self._readers[record.topic]:
                reader.append(record)
        return [event.seq for event in events], None


class Shop:
    """All services in one thread, each on a store of its own; `cpu_s` and `messages` are counted by service."""

    def __init__(self, folder: Path, profiled: str = "") -> None:
        products = catalogue.read("")
        self.participants = [
            order.participant(order.Policy(), products),
            inventory.participant(products),
            payment.participant(payment.Opening(100_000_000, "USD")),
            shipping.participant(shipping.Policy(STEP_S)),
            notification.participant(),
            status.participant(),
            marketing.participant(),
        ]
        self.topics = Topics(self.participants)
        self.now_us = time.time_ns() // 1000
        self.cpu_s: dict[str, float] = defaultdict(float)
        self.messages: dict[str, int] = defaultdict(int)
        self.cycles: dict[str, int] = defaultdict(int)
        self.profiled, self.profile = profiled, cProfile.Profile()
        self.engines: dict[str, Engine] = {}
        stopped = threading.Event()
        stopped.set()  # nothing is tried again
        for participant in self.participants:
            store = SqliteStore(str(folder / f"{participant.name}.sqlite"))
            publisher = self.topics.publisher(participant.name)
            self.engines[participant.name] = Engine(
                participant, store, publisher, Faults(), Retry(stopped, lambda _: None), now_us=lambda: self.now_us
            )
            self.engines[participant.name].start()

    def cycle(self, name: str, batch: int, commands: Sequence[Message] = ()) -> int:
        waiting = self.topics.waiting[name]
        records, waiting[:batch] = waiting[:batch], []
        began_s = time.thread_time()
        if name == self.profiled:
            self.profile.enable()
        handled = self.engines[name].cycle(records, commands)
        if name == self.profiled:
            self.profile.disable()
        if handled:
            self.cpu_s[name] += time.thread_time() - began_s
            self.messages[name] += handled
            self.cycles[name] += 1
        return handled

    def settle(self, batch: int) -> None:
        while sum(self.cycle(name, batch) for name in self.engines) or any(self.topics.waiting.values()):
            pass

    def orders(self, commands: Sequence[Message], batch: int) -> None:
        self.cycle("order", batch, commands)
        self.settle(batch)
        for _ in range(3):
            self.now_us += round(STEP_S * 1_000_000)
            self.settle(batch)
        self.now_us += 100_000


def _command(n: int) -> Message:
    order_id = str(uuid_utils.uuid7())
    request = PlaceOrderRequest(order_id=order_id, user_id=f"user-{n % USERS}", accepted_us=time.time_ns() // 1000)
    request.items.add(product_id=f"product-{n % 3 + 1}", quantity=1)
    return Message(order_id, request, PlaceOrderRequest.DESCRIPTOR.full_name, answer=lambda _: None)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.loops", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=100, help="messages of one transaction (default: 100)")
    parser.add_argument("--profile", default="", metavar="SERVICE", help="print where this one spends its time")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder), given.profile)
        restock = [RestockRequest(product_id=f"product-{n}", quantity=1_000_000, request_id=f"r{n}") for n in (1, 2, 3)]
        shop.cycle("inventory", 1, [Message(r.request_id, r, "", answer=lambda _: None) for r in restock])
        shop.settle(100)
        for counts in (shop.cpu_s, shop.messages, shop.cycles):
            counts.clear()
        for first in range(0, given.orders, given.batch):
            shop.orders([_command(first + n) for n in range(given.batch)], given.batch)
    for name in shop.engines:
        cpu_us, messages = 1_000_000 * shop.cpu_s[name], shop.messages[name]
        print(
            f"{name:13} {messages / given.orders:5.1f} messages an order, {messages / shop.cycles[name]:6.1f} a batch: "
            f"{cpu_us / messages:6.1f} us a message, {cpu_us / given.orders / 1000:6.3f} ms an order"
        )
    print(f"{'all':13} {sum(shop.cpu_s.values()) * 1000 / given.orders:.3f} ms an order")
    if given.profile:
        pstats.Stats(shop.profile).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
