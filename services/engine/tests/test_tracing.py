"""Spans that are made after the fact: of what was handled, of what was published, and nothing that stops the work."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.engine import metrics, settings
from services.engine.faults import Faults
from services.engine.loop import Engine
from services.engine.messages import Record
from services.engine.retry import Retry
from services.engine.settings import EngineSettings
from services.engine.sqlite import SqliteStore
from services.engine.telemetry import Telemetry
from services.engine.tests.test_settings import GIVEN
from services.engine.tests.toy import TICK_S, Add, Answers, Broker, Clock, rpc, said, toy
from services.engine.tracing import Spans, parse, span_id

QUEUE_MAX = 512


class Traced:
    """An engine on a real store whose spans are kept in memory."""

    def __init__(self, path: Path) -> None:
        self._exporter = InMemorySpanExporter()
        self._spans = Spans(toy(), "toy-0", self._exporter, QUEUE_MAX)
        self.store = SqliteStore(str(path))
        self.clock = Clock()
        retry = Retry(threading.Event(), lambda _: None)
        telemetry = Telemetry(toy(), self._spans)
        self.engine = Engine(toy(), self.store, Broker(), Faults(), retry, self.clock, telemetry=telemetry)

    def spans(self) -> dict[str, ReadableSpan]:
        """What was exported, by name, of which there is one each but for events."""
        self._spans._queue.force_flush()  # pyright: ignore[reportPrivateUsage]
        found = self._exporter.get_finished_spans()
        names = [span.name for span in found if span.kind is not SpanKind.PRODUCER]
        assert len(set(names)) == len(names)
        return {span.name: span for span in found}


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    traced = Traced(tmp_path / "toy.db")
    yield traced
    traced.store.close()


def with_trace(record: Record, traceparent: bytes) -> Record:
    headers = {**record.headers, "traceparent": traceparent}
    return Record(record.topic, record.partition, record.offset, record.key, headers, record.value)


def test_a_record_and_the_event_that_it_led_to_are_parent_and_child(traced: Traced) -> None:
    traced.engine.cycle([said("a add")], [])
    spans = traced.spans()
    handled, sent = spans["process StringValue"], spans["send Int32Value"]
    assert (handled.kind, sent.kind) == (SpanKind.CONSUMER, SpanKind.PRODUCER)
    assert handled.parent is not None
    assert f"{handled.parent.span_id:016x}" == "b" * 16
    assert handled.context is not None
    assert sent.parent is not None
    assert sent.parent.span_id == handled.context.span_id == span_id("toy", "said-0")
    assert {span.context.trace_id for span in (handled, sent) if span.context} == {int("a" * 32, 16)}
    attributes = dict(handled.attributes or {})
    assert attributes["messaging.kafka.offset"] == 0
    assert attributes["sagaproof.events"] == ["Int32Value"]
    assert dict(sent.attributes or {})["messaging.destination.name"] == "counted"


def test_the_event_that_is_stored_names_the_span_that_is_exported(traced: Traced) -> None:
    traced.engine.cycle([said("a add")], [])
    [event] = traced.store.events("counter/a", 0, 10)
    sent = traced.spans()["send Int32Value"].context
    assert sent is not None
    assert event.traceparent == f"00-{sent.trace_id:032x}-{sent.span_id:016x}-01"


def test_a_duplicate_has_no_span(traced: Traced) -> None:
    traced.engine.cycle([said("a add"), said("a add")], [])
    traced.engine.cycle([said("a add")], [])
    assert sorted(traced.spans()) == ["process StringValue", "send Int32Value"]


def test_a_request_and_a_timer_have_spans_of_their_own(traced: Traced) -> None:
    traced.engine.cycle([said("a start")], [rpc(Add("b", 1), "id-1", Answers())])
    traced.clock.pass_s(TICK_S)
    traced.engine.cycle([], [])
    spans = {name: span.kind for name, span in traced.spans().items() if not name.startswith("send")}
    assert spans == {
        "process StringValue": SpanKind.CONSUMER,
        "Add": SpanKind.INTERNAL,
        "timer tick": SpanKind.INTERNAL,
    }


def test_what_was_dead_lettered_is_an_error(traced: Traced) -> None:
    traced.engine.cycle([said("a fail")], [])
    span = traced.spans()["process StringValue"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "CannotHappen: not in this state"


@pytest.mark.parametrize(
    "traceparent",
    [
        b"",
        f"00-{'a' * 32}-{'b' * 16}-00".encode(),
        f"00-{'0' * 32}-{'b' * 16}-01".encode(),
        f"00-{'a' * 32}-{'0' * 16}-01".encode(),
        f"00-{'x' * 32}-{'b' * 16}-01".encode(),
        b"\xff" * 55,
    ],
)
def test_what_is_not_sampled_or_no_trace_at_all_has_no_span(traced: Traced, traceparent: bytes) -> None:
    traced.engine.cycle([with_trace(said("a mark"), traceparent)], [])
    assert traced.spans() == {}


def test_a_message_without_a_trace_begins_one_with_what_it_leads_to(traced: Traced) -> None:
    traced.engine.cycle([with_trace(said("a add"), b"")], [])
    [(name, sent)] = traced.spans().items()
    assert (name, sent.parent) == ("send Int32Value", None)


def test_other_flags_than_sampled_do_no_harm() -> None:
    assert parse(f"00-{'a' * 32}-{'b' * 16}-03") is not None
    assert parse(f"00-{'a' * 32}-{'b' * 16}-02") is None


class Stuck(SpanExporter):
    """An exporter that neither takes spans nor fails, until it is shut down."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self._ended = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        self.called.set()
        self._ended.wait(30)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._ended.set()


def outcomes() -> dict[str, float]:
    return {outcome: child._value.get() for outcome, child in metrics.SPANS.items()}  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]


def test_a_collector_that_does_not_answer_costs_spans_and_nothing_else(tmp_path: Path) -> None:
    stuck = Stuck()
    spans = Spans(toy(), "toy-0", stuck, QUEUE_MAX)
    store = SqliteStore(str(tmp_path / "toy.db"))
    retry = Retry(threading.Event(), lambda _: None)
    engine = Engine(toy(), store, Broker(), Faults(), retry, Clock(), telemetry=Telemetry(toy(), spans))
    before = outcomes()
    for n in range(3):
        engine.cycle([said("a nothing", f"said-{n}-{m}") for m in range(500)], [])
    assert stuck.called.wait(15)
    spans.close()
    after = outcomes()
    made = {name: after[name] - before[name] for name in after}
    assert made["exported"] == 0
    assert made["dropped"] >= 1500 - 2 * QUEUE_MAX
    assert made["dropped"] + made["failed"] <= 1500
    store.close()


@pytest.mark.parametrize(
    ("given", "traces"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, None),
    ],
    ids=str,
)
def test_the_standards_variables_say_whether_and_where_to(given: dict[str, str], traces: str | None) -> None:
    assert settings.read(EngineSettings, {**GIVEN, **given}).traces == traces


def test_where_traces_are_off_the_sdk_is_not_imported() -> None:
    program = "import sys, services.order.__main__, gateway.app; print('opentelemetry.sdk' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True).stdout
    assert out.strip() == "False"
