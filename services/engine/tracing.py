"""Spans (OpenTelemetry) of what a service did, made after the fact and exported in the background.

A message carries its trace in its traceparent, and everything has an id that can be derived: so no span has to be kept
open while work is done. Of each sampled message that was handled there is one span; of each published event another,
whose id is in the event's traceparent (`ids.child_traceparent`) and so is the parent of whatever handles it, anywhere.
A service that does its work again after a crash makes spans with the same ids.

This module costs 0.2 s and 4 MB, so it is imported only where traces are switched on. An exporter that fails or is slow
harms nobody: spans wait in a bounded queue, and those that do not fit are dropped and counted.
"""

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal

import grpc
import msgspec
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from services import __version__
from services.engine import metrics
from services.engine.batch import Batch
from services.engine.messages import Message
from services.engine.participant import Participant, TimerFired
from services.engine.store import NewEvent, StoredEvent

CLOSE_WITHIN_S = 1.0
"""How long the last spans may take on their way out when the process ends."""

Attributes = Mapping[str, str | int | Sequence[str]]

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SCOPE = InstrumentationScope("sagaproof", __version__)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_ERROR = StatusCode.ERROR
_CODES: dict[str, int] = {code.name: code.value[0] for code in grpc.StatusCode}
_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
"""The codes that are a server's error and not its answer, by the semantic conventions."""


def span_id(service: str, message_id: str) -> int:
    """The id of the span in which this service handles the message."""
    return int.from_bytes(blake2b(f"{service}/{message_id}".encode(), digest_size=8).digest()) or 1


def parse(traceparent: str) -> SpanContext | None:
    """The span that a traceparent names; None if it is none, or is not sampled."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or not int(match[3], 16) & TraceFlags.SAMPLED:
        return None
    return SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=_SAMPLED)


def format_traceparent(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-01"


class Spans:
    """The way out for spans of one process. May be used from any thread; nothing here waits."""

    def __init__(self, participant: Participant, instance: str, exporter: SpanExporter, queue_max: int) -> None:
        self._participant = participant
        self._service = participant.name
        self._resource = Resource.create(
            {
                "service.name": participant.name,
                "service.namespace": "sagaproof",
                "service.version": __version__,
                "service.instance.id": instance,
            }
        )
        self._queue = _Queue(exporter, queue_max)

    def handled(self, batch: Batch, messages: Sequence[Message], began_ns: int, ended_ns: int) -> None:
        """A span of each message of a batch that was committed, but for those that the inbox dropped."""
        sampled = [(message, parent) for message in messages if (parent := parse(message.traceparent)) is not None]
        if not sampled:
            return
        events: dict[str, list[NewEvent]] = {}
        for event in batch.changes.events:
            events.setdefault(event.cause_id, []).append(event)
        letters = {letter.id: letter.cause for letter, _ in batch.changes.dead_letters}
        done: set[str] = set()
        for message, parent in sampled:
            if message.record is not None and (message.id in done or message.id not in batch.changes.inbox):
                continue
            done.add(message.id)
            attributes = self._about(message, events.get(message.id, ()), len(messages))
            kind, name = _kind(message)
            this = _span(parent.trace_id, span_id(self._service, message.id))
            self.add(name, kind, this, parent, began_ns, ended_ns, attributes, letters.get(message.id))

    def published(self, events: Sequence[StoredEvent], ended_ns: int) -> None:
        """A span of each event that the broker has acknowledged, from its transaction on."""
        for event in events:
            this = parse(event.traceparent)
            if this is None:
                continue
            began_here = event.traceparent[3:35] == event.message_id.replace("-", "")
            parent = None if began_here else _span(this.trace_id, span_id(self._service, event.cause_id))
            topic = event.topic or ""
            attributes: Attributes = {
                "messaging.system": "kafka",
                "messaging.operation.type": "send",
                "messaging.operation.name": "send",
                "messaging.destination.name": topic,
                "messaging.message.id": event.message_id,
                "messaging.kafka.message.key": event.key,
                "sagaproof.entity": event.entity,
                "sagaproof.cause_id": event.cause_id,
            }
            name = f"send {_short(event.type)}"
            self.add(name, SpanKind.PRODUCER, this, parent, event.time_us * 1000, ended_ns, attributes)

    def begin_rpc(self, traceparent: str) -> "Rpc | None":
        """A span of the RPC that begins now, if its caller has a sampled one."""
        parent = parse(traceparent)
        return None if parent is None else Rpc(self, parent)

    def add(
        self,
        name: str,
        kind: SpanKind,
        this: SpanContext,
        parent: SpanContext | None,
        began_ns: int,
        ended_ns: int,
        attributes: Attributes,
        error: str | None = None,
    ) -> None:
        self._queue.on_end(
            ReadableSpan(
                name,
                context=this,
                parent=parent,
                resource=self._resource,
                attributes=attributes,
                kind=kind,
                status=Status(_ERROR, error) if error else Status(),
                start_time=began_ns,
                end_time=max(began_ns, ended_ns),
                instrumentation_scope=_SCOPE,
            )
        )

    def close(self) -> None:
        """Sends what is left, as far as that goes within `CLOSE_WITHIN_S`."""
        self._queue.close(CLOSE_WITHIN_S)

    def _about(self, message: Message, events: Sequence[NewEvent], batch_size: int) -> Attributes:
        about = {f"sagaproof.{name}": value for name, value in self._participant.about(message.command).items()}
        attributes: dict[str, str | int | Sequence[str]] = {
            "sagaproof.message_id": message.id,
            "sagaproof.command": type(message.command).__name__,
            "sagaproof.batch_size": batch_size,
            "sagaproof.entities": list(message.keys),
            **about,
        }
        if events:
            attributes["sagaproof.events"] = [_short(event.type) for event in events]
        record = message.record
        if record is not None:
            attributes |= {
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.consumer.group.name": self._participant.consumer_group,
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
                "messaging.kafka.message.key": record.key.decode("utf-8", "replace"),
                "messaging.message.id": message.id,
            }
        return attributes


class Rpc:
    """The span of an RPC that is being answered."""

    def __init__(self, spans: Spans, parent: SpanContext) -> None:
        self._spans = spans
        self._parent = parent
        self._this = _span(parent.trace_id, int.from_bytes(os.urandom(8)) or 1)
        self._began_ns = time.time_ns()
        self.traceparent = format_traceparent(self._this)

    def end(self, method: str, code: str) -> None:
        service, _, name = method.rpartition("/")
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": name,
            "rpc.grpc.status_code": _CODES[code],
        }
        error = code if code in _FAULTS else None
        self._spans.add(
            method, SpanKind.SERVER, self._this, self._parent, self._began_ns, time.time_ns(), attributes, error
        )


class _Queue(BatchSpanProcessor):
    """OpenTelemetry's queue and thread, which also count what becomes of the spans."""

    def __init__(self, exporter: SpanExporter, queue_max: int) -> None:
        self._exporter = _Counted(exporter)
        self._queue_max = queue_max
        self._given = 0
        super().__init__(self._exporter, max_queue_size=queue_max)

    def on_end(self, span: ReadableSpan) -> None:
        if self._given - self._exporter.taken >= self._queue_max:
            metrics.SPANS["dropped"].inc()
            return
        self._given += 1
        super().on_end(span)

    def close(self, timeout_s: float) -> None:
        closing = threading.Thread(target=self.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(timeout_s)
        self._exporter.shutdown()  # ends the retries of what is under way


class _Counted(SpanExporter):
    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            outcome = "exported" if result is SpanExportResult.SUCCESS else "failed"
            metrics.SPANS[outcome].inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def start(participant: Participant, instance: str, exporter: Literal["otlp", "console"], queue_max: int) -> Spans:
    """Spans by the standard's `OTEL_EXPORTER_OTLP_...` variables, or as lines of the log."""
    # Its warnings repeat what its errors, one for each batch that was given up, say as well.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    if exporter == "console":
        return Spans(participant, instance, ConsoleSpanExporter(formatter=log_line(instance)), queue_max)
    return Spans(participant, instance, OTLPSpanExporter(), queue_max)


def log_line(instance: str) -> Callable[[ReadableSpan], str]:
    """Writes a span as a line of the log."""

    def line(span: ReadableSpan) -> str:
        sys.stdout.flush()
        context, parent, began_ns, ended_ns = span.context, span.parent, span.start_time or 0, span.end_time or 0
        assert context is not None
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(began_ns / 1e9, UTC),
            "level": "INFO",
            "service": span.resource.attributes["service.name"],
            "instance": instance,
            "message": f"span: {span.name}",
            "ms": round((ended_ns - began_ns) / 1e6, 3),
            "kind": span.kind.name,
            "trace_id": f"{context.trace_id:032x}",
            "span_id": f"{context.span_id:016x}",
            "parent_id": f"{parent.span_id:016x}" if parent else "",
            **{name.removeprefix("sagaproof."): value for name, value in (span.attributes or {}).items()},
        }
        return msgspec.json.encode(said).decode() + "\n"

    return line


def _span(trace_id: int, number: int) -> SpanContext:
    return SpanContext(trace_id, number, is_remote=False, trace_flags=_SAMPLED)


def _kind(message: Message) -> tuple[SpanKind, str]:
    """A record is consumed; a request that brings a trace of its own is one of several in its call; a timer is ours."""
    if message.record is not None:
        return SpanKind.CONSUMER, f"process {_short(message.type)}"
    if isinstance(message.command, TimerFired):
        return SpanKind.INTERNAL, f"timer {message.command.name}"
    kind = SpanKind.SERVER if getattr(message.command, "traceparent", "") else SpanKind.INTERNAL
    return kind, _short(message.type).removesuffix("Request")


def _short(type_name: str) -> str:
    return type_name.rpartition(".")[2]
