"""Spans of the gateway: of requests and of the calls that they make; and who decides what is sampled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry, Counter
from websockets.asyncio.client import connect

from gateway import trace
from gateway.settings import read_settings
from gateway.spans import Spans
from gateway.tests.conftest import Stack, an_order, eventually
from gateway.tests.documents import delivered

pytestmark = pytest.mark.anyio

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED, UNSAMPLED = f"00-{TRACE_ID}-00f067aa0ba902b7-01", f"00-{TRACE_ID}-00f067aa0ba902b7-00"


class Traced:
    """The gateway's spans, kept in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        outcomes = Counter("spans", "A test's.", ["outcome"], registry=CollectorRegistry())
        self.spans = Spans(self._exporter, 512, outcomes)

    def names(self) -> set[str]:
        """Of what has ended so far."""
        self.spans._queue.force_flush()  # pyright: ignore[reportPrivateUsage]
        return {span.name for span in self._exporter.get_finished_spans()}

    async def finished(self) -> dict[str, ReadableSpan]:
        """What has ended so far, by name."""
        await asyncio.to_thread(self.spans._queue.force_flush)  # pyright: ignore[reportPrivateUsage]
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def traced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """On while the test runs; a marker `sampler` names another sampler than the default."""
    marker = request.node.get_closest_marker("sampler")
    if marker is not None:
        name, argument = marker.args
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    traced = Traced()
    trace.switch_on(traced.spans)
    yield traced
    trace.switch_on(None)
    traced.spans.close()


async def test_an_order_is_a_request_with_a_call_in_it_whose_span_goes_along(stack: Stack, traced: Traced) -> None:
    answer = await stack.http.post("/order", json=an_order(), headers={"traceparent": SAMPLED})
    spans = await traced.finished()
    request, call = spans["POST /order"], spans["order/PlaceOrders"]
    assert (request.kind, call.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert request.parent is not None and f"{request.parent.span_id:016x}" == SAMPLED[36:52]
    assert request.context is not None and call.context is not None
    assert call.parent is not None and call.parent.span_id == request.context.span_id
    assert stack.order.traceparents == [f"00-{TRACE_ID}-{call.context.span_id:016x}-01"]
    attributes = dict(request.attributes or {})
    assert attributes["http.response.status_code"] == 202
    assert attributes["sagaproof.order_id"] == answer.json()["orderId"]


async def test_a_request_without_a_trace_begins_one(stack: Stack, traced: Traced) -> None:
    await stack.place()
    request = (await traced.finished())["POST /order"]
    assert request.parent is None


async def test_what_machines_ask_has_no_span(stack: Stack, traced: Traced) -> None:
    for path in ("/health", "/ready", "/metrics"):
        assert (await stack.http.get(path)).status_code == 200
    assert await traced.finished() == {}


async def test_what_the_client_does_not_sample_is_not_exported(stack: Stack, traced: Traced) -> None:
    await stack.http.post("/order", json=an_order(), headers={"traceparent": UNSAMPLED})
    assert await traced.finished() == {}
    [received] = stack.order.traceparents
    assert (received[3:35], received[-2:]) == (TRACE_ID, "00")


@pytest.mark.sampler("parentbased_traceidratio", "0")
async def test_the_sampler_decides_of_new_traces_and_not_of_the_clients(stack: Stack, traced: Traced) -> None:
    await stack.place()
    assert await traced.finished() == {}
    await stack.http.post("/order", json=an_order(), headers={"traceparent": SAMPLED})
    assert "POST /order" in await traced.finished()
    assert [int(received[-2:], 16) & 1 for received in stack.order.traceparents] == [0, 1]


async def test_a_service_that_is_away_makes_the_call_and_the_request_errors(stack: Stack, traced: Traced) -> None:
    await stack.inventory_service.stop()
    assert (await stack.http.get("/products")).status_code == 503
    spans = await traced.finished()
    assert spans["GET /products"].status.status_code is StatusCode.ERROR
    assert spans["inventory/ListProducts"].status.status_code is StatusCode.ERROR


async def test_a_watched_order_is_a_span_as_long_as_the_socket(stack: Stack, traced: Traced) -> None:
    order_id = await stack.place()
    stack.status.publish(delivered(order_id, 9))
    async with connect(f"{stack.ws}/ws/{order_id}") as client:
        async for _ in client:
            pass
    await eventually(lambda: "GET /ws/{orderId}" in traced.names(), 15)


async def test_where_traces_are_off_a_new_trace_is_not_sampled_and_the_clients_flag_is_kept(stack: Stack) -> None:
    await stack.place()
    await stack.http.post("/order", json=an_order(), headers={"traceparent": SAMPLED})
    assert [received[-2:] for received in stack.order.traceparents] == ["00", "01"]


@pytest.mark.parametrize(
    ("given", "traces"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, None),
    ],
    ids=str,
)
def test_the_standards_variables_say_whether_and_where_to(given: dict[str, str], traces: str | None) -> None:
    assert read_settings(given).traces == traces
