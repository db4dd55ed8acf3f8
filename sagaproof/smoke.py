"""One order through the gateway of a shop in a cluster, to its end: the shortest proof that all of it works together.

It is a real order, of a customer of its own, so that its money is nobody's; a piece of the cheapest product is sold.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from uuid import uuid4

import msgspec

from e2e.substrates.forwards import Forwards
from sagaproof.client import Gateway
from sagaproof.cluster import Cluster
from sagaproof.documents import Product, accepted_decoder, order_decoder, products_decoder
from sagaproof.errors import CommandError, Refused, Unreachable
from sagaproof.ports import free_ports
from sagaproof.settings import HOST

GATEWAY_PORT = 8080
ANSWERS_WITHIN_S = 30.0
ENDS_WITHIN_S = 60.0
LOOK_EVERY_S = 0.3

T = TypeVar("T")


class Smoked(msgspec.Struct, frozen=True):
    """The order, and how long it took to its end."""

    order_id: str
    took_s: float


def order(cluster: Cluster) -> Smoked | None:
    """Places it and follows it until it is COMPLETED; None if nothing is in stock. Raises CommandError."""
    [port] = free_ports(1)
    with (
        TemporaryDirectory() as folder,
        Forwards(cluster, Path(folder) / "api") as forwards,
        Gateway(f"http://{HOST}:{port}") as gateway,
    ):
        forwards.add("gateway", {port: GATEWAY_PORT})
        product = once_it_answers(lambda: _cheapest(gateway))
        if product is None:
            return None
        began = time.monotonic()
        user, key = f"smoke-{uuid4()}", str(uuid4())
        answer = once_it_answers(lambda: gateway.place([(product.product_id, 1)], user=user, key=key))
        order_id = accepted_decoder.decode(answer).order_id
        last = "PENDING"
        for document in gateway.watch(order_id, within_s=ENDS_WITHIN_S):
            found = order_decoder.decode(document)
            last = f"{found.status} {found.reason or ''}".rstrip()
            if found.ended:
                break
        if last != "COMPLETED":
            raise CommandError(f"smoke order {order_id} is {last} and not COMPLETED")
        return Smoked(order_id, time.monotonic() - began)


def _cheapest(gateway: Gateway) -> Product | None:
    """Of what is in stock."""
    there = [each for each in products_decoder.decode(gateway.products()) if each.available]
    return min(there, key=lambda each: each.price.amount_minor, default=None)


def once_it_answers(call: Callable[[], T]) -> T:
    """What it gives, asked again for a while, as any client does that is told 503. Raises CommandError."""
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            return call()
        except (Unreachable, Refused) as error:
            if time.monotonic() > deadline:
                raise CommandError(f"no smoke order could be placed: {error.line}", error.details) from error
            time.sleep(LOOK_EVERY_S)  # between two looks at a condition
