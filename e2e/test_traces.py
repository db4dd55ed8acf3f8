"""Traces of a whole shop, as a collector gets them: one from the POST to the delivered parcel, over HTTP, gRPC, Kafka.

The collector is a double, but what it is sent came from the real exporters over HTTP, as the real protobufs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from uuid import uuid4

import pytest

from e2e.collector import Collected, Collector, collecting
from e2e.conftest import write_catalogue
from e2e.shop import Shop, eventually, running

SPANS_WITHIN_S = 30.0
CHAIN = [
    ("gateway", "SERVER", "POST /order"),
    ("gateway", "CLIENT", "order/PlaceOrders"),
    ("order", "SERVER", "PlaceOrder"),
    ("order", "PRODUCER", "send OrderCreated"),
    ("inventory", "CONSUMER", "process OrderCreated"),
    ("inventory", "PRODUCER", "send InventoryConfirmed"),
    ("payment", "CONSUMER", "process InventoryConfirmed"),
    ("payment", "PRODUCER", "send PaymentCompleted"),
    ("shipping", "CONSUMER", "process PaymentCompleted"),
    ("shipping", "PRODUCER", "send Shipped"),
    ("order", "CONSUMER", "process Shipped"),
    ("order", "PRODUCER", "send OrderCompleted"),
    ("status", "CONSUMER", "process OrderCompleted"),
]
"""From each of these to the next: parent to child."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of its own, which samples only what a client has sampled."""
    home = tmp_path_factory.mktemp("traced")
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "DELIVERY_STEP_S": "0.3",
        "CATALOGUE": str(write_catalogue(home)),
    }
    with running(home, **environment) as shop:
        yield shop


def place(shop: Shop, traceparent: str, product: str, quantity: int = 1) -> str:
    body = {"userId": f"user-{uuid4()}", "items": [{"productId": product, "quantity": quantity}]}
    answer = shop.http.post("/order", json=body, headers={"traceparent": traceparent} if traceparent else {})
    assert answer.status_code == 202, answer.text
    return answer.json()["orderId"]


def of_trace(collector: Collector, trace: str) -> list[Collected]:
    return [span for span in collector.spans() if span.trace == trace]


def delivered(shop: Shop, order_id: str) -> bool:
    document = shop.status(order_id)
    return bool(document and document["delivery"]["status"] == "DELIVERED")


def test_an_order_is_one_trace_from_the_post_to_the_delivered_parcel(traced: Shop, collector: Collector) -> None:
    trace, client = uuid4().hex, uuid4().hex[:16]
    order_id = place(traced, f"00-{trace}-{client}-01", "test-0")
    eventually("it is delivered", lambda: delivered(traced, order_id), SPANS_WITHIN_S)

    def is_whole() -> bool:
        """Status has handled the last step, and every parent is known."""
        spans = of_trace(collector, trace)
        steps = sum((span.service, span.name) == ("status", "process DeliveryProgressed") for span in spans)
        return steps == 3 and {span.parent for span in spans} <= {client, *(span.id for span in spans)}

    eventually("the trace is whole", is_whole, SPANS_WITHIN_S)
    spans = of_trace(collector, trace)
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans), "each span came once"
    [root] = [span for span in spans if span.parent == client]
    assert (root.name, root.attributes["http.response.status_code"]) == ("POST /order", 202)
    assert {span.attributes["sagaproof.order_id"] for span in spans if "sagaproof.order_id" in span.attributes} == {
        order_id
    }
    assert not any(span.failed for span in spans)
    links = {(of(by_id[span.parent]), of(span)) for span in spans if span is not root}
    for parent, child in pairwise(CHAIN):
        assert (parent, child) in links, f"{parent} led to {child}"
    progress = [span for span in spans if of(span) == ("shipping", "PRODUCER", "send DeliveryProgressed")]
    assert len(progress) == 3
    assert {of(by_id[span.parent]) for span in progress} == {("shipping", "INTERNAL", "timer delivery")}
    for span in spans:
        assert span.began <= span.ended
        assert span.service == "gateway" or span.began >= root.began
    charged = next(span for span in spans if span.name == "process InventoryConfirmed" and span.service == "payment")
    assert charged.attributes["messaging.destination.name"] == "inventory"
    assert charged.attributes["messaging.consumer.group.name"] == "payment"
    assert charged.attributes["sagaproof.command"] == "ChargePayment"
    assert "PaymentCompleted" in charged.attributes["sagaproof.events"]


def of(span: Collected) -> tuple[str, str, str]:
    return span.service, span.kind, span.name


def test_what_the_gateway_does_not_sample_nobody_exports(traced: Shop, collector: Collector) -> None:
    unsampled = uuid4().hex
    orders = [place(traced, f"00-{unsampled}-{uuid4().hex[:16]}-00", "test-1"), place(traced, "", "test-1")]
    traced.settled(orders)
    marker = uuid4().hex
    traced.ended(place(traced, f"00-{marker}-{uuid4().hex[:16]}-01", "test-1"))

    def has_ended() -> bool:
        return any(span.name == "process OrderCompleted" for span in of_trace(collector, marker))

    eventually("a later one has come", has_ended, SPANS_WITHIN_S)
    assert not of_trace(collector, unsampled)
    about = {span.attributes.get("sagaproof.order_id") for span in collector.spans()}
    assert not about & set(orders)


def test_a_cancelled_read_and_a_status_are_spans_of_their_callers_trace(traced: Shop, collector: Collector) -> None:
    trace = uuid4().hex
    headers = {"traceparent": f"00-{trace}-{uuid4().hex[:16]}-01"}
    assert traced.http.get("/products", headers=headers).status_code == 200
    assert traced.http.post(f"/order/{uuid4()}/cancel", headers=headers).status_code == 404
    expected = {
        ("gateway", "SERVER", "GET /products"),
        ("gateway", "CLIENT", "inventory/ListProducts"),
        ("inventory", "SERVER", "shop.inventory.v1.InventoryService/ListProducts"),
        ("gateway", "SERVER", "POST /order/{orderId}/cancel"),
        ("order", "SERVER", "shop.order.v1.OrderService/CancelOrder"),
        ("order", "INTERNAL", "CancelOrder"),
    }
    eventually("all are there", lambda: expected <= {of(s) for s in of_trace(collector, trace)}, SPANS_WITHIN_S)


def test_a_collector_that_is_away_harms_nobody(traced: Shop, collector: Collector) -> None:
    collector.refuses = True
    try:
        orders = [place(traced, f"00-{uuid4().hex}-{uuid4().hex[:16]}-01", "test-2") for _ in range(20)]
        assert {document["status"] for document in traced.settled(orders)} == {"COMPLETED"}
        assert traced.ready()
    finally:
        collector.refuses = False
