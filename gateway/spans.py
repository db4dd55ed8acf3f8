"""Spans by OpenTelemetry's SDK. Imported only where traces are switched on: it takes 0.2 s and 4 MB.

An exporter that fails or is slow harms nobody: spans wait in a bounded queue, and what does not fit is dropped and
counted.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter

from gateway import __version__
from gateway.trace import Attributes

CLOSE_WITHIN_S = 1.0
"""How long the last spans may take on their way out when the gateway stops."""

_propagator = TraceContextTextMapPropagator()


class Spans:
    """`gateway.trace.Spans`, sampled as OTEL_TRACES_SAMPLER says; by default all but those that a client has not."""

    def __init__(self, exporter: SpanExporter, queue_max: int, outcomes: Counter) -> None:
        self._queue = _Queue(exporter, queue_max, outcomes)
        self._provider = TracerProvider(
            resource=Resource.create(
                {"service.name": "gateway", "service.namespace": "sagaproof", "service.version": __version__}
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._queue)
        self._tracer = self._provider.get_tracer("sagaproof", __version__)

    def begin_request(self, header: str | None) -> Span:
        context = _propagator.extract({"traceparent": header} if header else {})
        return Span(self._tracer.start_span("request", context, SpanKind.SERVER))

    def begin_call(self, traceparent: str) -> Span:
        context = _propagator.extract({"traceparent": traceparent})
        return Span(self._tracer.start_span("call", context, SpanKind.CLIENT))

    def close(self) -> None:
        """Sends what is left, as far as that goes within `CLOSE_WITHIN_S`."""
        self._queue.close(CLOSE_WITHIN_S)


class Span:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def end(self, name: str, attributes: Attributes, error: str = "") -> None:
        if self._span.is_recording():
            self._span.update_name(name)
            self._span.set_attributes(attributes)
            if error:
                self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


class _Queue(BatchSpanProcessor):
    """OpenTelemetry's queue and thread, which also count what becomes of the spans."""

    def __init__(self, exporter: SpanExporter, queue_max: int, outcomes: Counter) -> None:
        self._exporter = _Counted(exporter, outcomes)
        self._queue_max = queue_max
        self._dropped = outcomes.labels("dropped")
        self._given = 0
        super().__init__(self._exporter, max_queue_size=queue_max)

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if self._given - self._exporter.taken >= self._queue_max:
            self._dropped.inc()
            return
        self._given += 1
        super().on_end(span)

    def close(self, timeout_s: float) -> None:
        closing = threading.Thread(target=self.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(timeout_s)
        self._exporter.shutdown()  # ends the retries of what is under way


class _Counted(SpanExporter):
    def __init__(self, exporter: SpanExporter, outcomes: Counter) -> None:
        self._exporter = exporter
        self._outcomes = {outcome: outcomes.labels(outcome) for outcome in ("exported", "failed")}
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            outcome = "exported" if result is SpanExportResult.SUCCESS else "failed"
            self._outcomes[outcome].inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def start(exporter: Literal["otlp", "console"], queue_max: int, outcomes: Counter) -> Spans:
    """Spans by the standard's `OTEL_EXPORTER_OTLP_...` variables, or as lines of the log."""
    # Its warnings repeat what its errors, one for each batch that was given up, say as well.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    chosen = ConsoleSpanExporter(formatter=log_line) if exporter == "console" else OTLPSpanExporter()
    return Spans(chosen, queue_max, outcomes)


def log_line(span: ReadableSpan) -> str:
    """A span as a line of the log."""
    sys.stdout.flush()
    context, parent, began_ns, ended_ns = span.context, span.parent, span.start_time or 0, span.end_time or 0
    assert context is not None
    said = {
        "time": datetime.fromtimestamp(began_ns / 1e9, UTC).isoformat(timespec="microseconds"),
        "level": "INFO",
        "service": "gateway",
        "message": f"span: {span.name}",
        "ms": round((ended_ns - began_ns) / 1e6, 3),
        "kind": span.kind.name,
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_id": f"{parent.span_id:016x}" if parent else "",
        **{name.removeprefix("sagaproof."): value for name, value in (span.attributes or {}).items()},
    }
    return msgspec.json.encode(said).decode() + "\n"
