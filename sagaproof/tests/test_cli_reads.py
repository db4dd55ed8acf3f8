"""The commands that list, against a gateway double on a real port."""

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from sagaproof.cli import main
from sagaproof.client import Gateway
from sagaproof.tests.cli_doubles import ORDER_ID, FakeGateway, running_gateway

TIME = "2026-01-01T10:00:00.123Z"
USD = {"amountMinor": 2999, "currency": "USD"}
EVENT: dict[str, Any] = {
    "id": "e-1",
    "type": "Shipped",
    "time": TIME,
    "service": "shipping",
    "key": ORDER_ID,
    "data": {},
}
ORDER = {
    "orderId": ORDER_ID,
    "userId": "ann",
    "status": "CANCELLED",
    "reason": "OUT_OF_STOCK",
    "createdAt": TIME,
    "items": [{"productId": "product-1", "quantity": 2}],
    "total": USD,
}
STEP = {"type": "PaymentFailed", "service": "payment", "sincePreviousMs": 4.6, "compensation": True, "detail": "why"}
SAGA = {**ORDER, "startedAt": TIME, "durationMs": 1250.0, "steps": [STEP]}
DASHBOARD = {
    "accepted": 1200,
    "completed": 3,
    "cancelled": 2,
    "cancelledByReason": {"TIMED_OUT": 2},
    "open": {"AWAITING_PAYMENT": 1195},
    "openIsPartial": True,
    "revenue": [USD],
    "latency": {"orders": 5, "p50Ms": 18.5, "p95Ms": 22.2, "p99Ms": 26.6},
    "minutes": [{"beginsAt": TIME, "accepted": 1200, "completed": 3, "cancelled": 2}],
}


class Reads:
    """What the double lists, what it was asked, and what its streams say: one entry a connection."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.resumed_from: list[str | None] = []
        self.streams: list[list[str]] = []
        bodies: dict[str, Any] = {"orders": ORDER, "sagas": SAGA, "events": EVENT}

        async def stream(path: str, request: Request) -> Response:
            self.asked.append((f"/{path}/stream", dict(request.query_params)))
            self.resumed_from.append(request.headers.get("last-event-id"))
            if not self.streams:
                problem = {"title": "The request is not valid", "detail": "type: is wrong", "status": 422}
                return JSONResponse(problem, 422, media_type="application/problem+json")
            return StreamingResponse(iter(self.streams.pop(0)), media_type="text/event-stream")

        async def listed(path: str, request: Request) -> Response:
            self.asked.append((f"/{path}", dict(request.query_params)))
            found = DASHBOARD if path == "dashboard" else {"items": [bodies[path]], "nextCursor": None}
            return JSONResponse(found)

        gateway.app.get("/{path}/stream")(stream)
        gateway.app.get("/{path}")(listed)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGateway]:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    with running_gateway() as running:
        monkeypatch.setenv("SAGAPROOF_URL", running.url)
        yield running


@pytest.fixture
def reads(gateway: FakeGateway) -> Reads:
    return Reads(gateway)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines of a command that ends well."""
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(arguments))
    assert not end.value.code
    return capsys.readouterr().out.splitlines()


def test_orders_are_listed_by_what_was_asked_for(reads: Reads, capsys: pytest.CaptureFixture[str]) -> None:
    header, row = said(capsys, "orders", "--user", "ann", "--status", "cancelled", "--reason", "OUT_OF_STOCK")
    assert header.split() == ["accepted", "order", "user", "items", "total", "status"]
    for text in (ORDER_ID, "ann", "2 x product-1", "29.99 USD", "CANCELLED OUT_OF_STOCK"):
        assert text in row
    asked = {"userId": "ann", "status": "CANCELLED", "reason": "OUT_OF_STOCK", "limit": "20"}
    assert reads.asked == [("/orders", asked)]


def test_a_saga_is_shown_with_its_steps(reads: Reads, capsys: pytest.CaptureFixture[str]) -> None:
    saga, step = said(capsys, "sagas", "--status", "open")
    assert ORDER_ID in saga
    assert saga.endswith("CANCELLED OUT_OF_STOCK  1,250 ms")
    assert step.split() == ["+5", "ms", "payment", "PaymentFailed", "why"]
    assert reads.asked == [("/sagas", {"status": "OPEN", "limit": "5"})]


def test_events_are_listed_by_order_and_by_type(reads: Reads, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capsys, "events", "--order", ORDER_ID, "--type", "Shipped", "-n", "3")
    assert line.split()[1:] == ["shipping", "Shipped", ORDER_ID]
    assert reads.asked == [("/events", {"orderId": ORDER_ID, "type": "Shipped", "limit": "3"})]


def test_the_dashboard_shows_every_figure(reads: Reads, capsys: pytest.CaptureFixture[str]) -> None:
    said_ = said(capsys, "dashboard")
    text = "\n".join(said_)
    for figure in ("1,200", "2: 2 TIMED_OUT", "at least 1,195 AWAITING_PAYMENT", "29.99 USD", "p95 22 ms"):
        assert figure in text
    assert said_[-1].split()[1:] == ["1,200", "3", "2"]
    assert reads.asked == [("/dashboard", {})]


@pytest.mark.parametrize("command", ["orders", "sagas", "events", "dashboard"])
@pytest.mark.usefixtures("reads")
def test_as_json_a_list_is_what_the_gateway_says(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capsys, command, "--json")
    assert json.loads(line)["items" if command != "dashboard" else "open"]


def taken(stream: Generator[bytes], count: int) -> list[Any]:
    return [json.loads(next(stream)) for _ in range(count)]


def test_a_stream_goes_on_behind_its_last_event_after_a_lost_connection(gateway: FakeGateway, reads: Reads) -> None:
    reads.streams = [
        ["retry: 1000\n\n", 'id: 1\ndata: {"n": 1}\n\n', ": still here\n\n", 'id: 2\ndata: {"n": 2}\n\n'],
        ['event: skipped\ndata: {"events": 7}\n\n', 'id: 3\ndata: {"n": 3}\n\n'],
    ]
    trouble: list[str] = []
    with Gateway(gateway.url) as client:
        stream = client.follow("/events/stream", on_trouble=trouble.append, type="Shipped", orderId=None)
        assert taken(stream, 3) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert reads.resumed_from == [None, "2"]
    assert reads.asked == [("/events/stream", {"type": "Shipped"})] * 2
    assert 'some events were skipped: {"events": 7}' in trouble


def test_following_shows_each_event_as_it_comes_until_the_gateway_refuses(
    reads: Reads, capsys: pytest.CaptureFixture[str]
) -> None:
    reads.streams = [[f"id: 1\ndata: {json.dumps(EVENT)}\n\n"]]
    assert main(["events", "--follow", "--type", "Shipped"]) == 1
    out, err = capsys.readouterr()
    assert out.split()[1:] == ["shipping", "Shipped", ORDER_ID]
    assert "type: is wrong" in err
