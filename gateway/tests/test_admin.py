"""What the console does for an operator: off by default, for this machine's browser only, and each call's way."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio
from shop.admin.v1 import service_pb2 as pb
from shop.admin.v1 import service_pb2_grpc as admin_grpc
from shop.common.v1 import common_pb2
from shop.payment.v1 import events_pb2 as payment_events

from gateway.tests import doubles
from gateway.tests.conftest import Stack, free_ports, running

pytestmark = pytest.mark.anyio

ORDER_ID = str(uuid.uuid4())
FAILED = payment_events.PaymentFailed.DESCRIPTOR.full_name
Context = aio.ServicerContext[Any, Any]


class AdminDouble(admin_grpc.AdminServiceServicer):
    """Keeps what it was told."""

    # ruff: noqa: N802, ARG002 - names and arguments are those of the generated servicer
    def __init__(self) -> None:
        self.paused = False
        self.faults: list[pb.Fault] = []
        self.letters: dict[str, pb.DeadLetter] = {}
        self.replayed: list[pb.ReplayDeadLetterRequest] = []
        self.discarded: list[str] = []

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        return pb.GetInfoResponse(
            service="payment", ready=True, paused=self.paused, lag=3, faults=self.faults, faults_allowed=True
        )

    def ListEvents(self, request: object, context: object) -> pb.ListEventsResponse:
        raise NotImplementedError

    def GetEntity(self, request: object, context: object) -> pb.GetEntityResponse:
        raise NotImplementedError

    def Rebuild(self, request: object, context: object) -> pb.RebuildResponse:
        raise NotImplementedError

    def SetLogLevel(self, request: object, context: object) -> pb.SetLogLevelResponse:
        raise NotImplementedError

    async def Pause(self, request: pb.PauseRequest, context: Context) -> pb.PauseResponse:
        self.paused = True
        return pb.PauseResponse()

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:
        self.paused = False
        return pb.ResumeResponse()

    async def InjectFault(self, request: pb.InjectFaultRequest, context: Context) -> pb.InjectFaultResponse:
        self.faults.append(request.fault)
        return pb.InjectFaultResponse(faults=self.faults)

    async def ClearFaults(self, request: pb.ClearFaultsRequest, context: Context) -> pb.ClearFaultsResponse:
        self.faults.clear()
        return pb.ClearFaultsResponse()

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Context) -> pb.ListDeadLettersResponse:
        wanted = [each for each in self.letters.values() if request.status in (0, each.status)]
        return pb.ListDeadLettersResponse(dead_letters=wanted)

    async def ReplayDeadLetter(
        self, request: pb.ReplayDeadLetterRequest, context: Context
    ) -> pb.ReplayDeadLetterResponse:
        if request.id not in self.letters:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no dead letter {request.id}")
        self.replayed.append(request)
        return pb.ReplayDeadLetterResponse()

    async def DiscardDeadLetter(
        self, request: pb.DiscardDeadLetterRequest, context: Context
    ) -> pb.DiscardDeadLetterResponse:
        self.discarded.append(request.id)
        return pb.DiscardDeadLetterResponse()


def a_letter(letter_id: str, payload: bytes, seconds: int = 0) -> pb.DeadLetter:
    return pb.DeadLetter(
        id=letter_id,
        status=pb.DEAD_LETTER_STATUS_OPEN,
        cause="a cause",
        topic="payment",
        partition=1,
        offset=7,
        key=ORDER_ID.encode(),
        headers={"ce_type": FAILED.encode()},
        payload=payload,
        time=Timestamp(seconds=seconds),
    )


@pytest.fixture
async def payment() -> AsyncIterator[tuple[Stack, AdminDouble]]:
    """A gateway with two processes to operate: payment is there, and shipping is not."""
    double, (port, nobody) = AdminDouble(), free_ports(2)
    service = doubles.Service(port, lambda server: admin_grpc.add_AdminServiceServicer_to_server(double, server))
    await service.start()
    try:
        addresses = f"payment=127.0.0.1:{port},shipping=127.0.0.1:{nobody}"
        async with running(console_admin=True, admin_addresses=addresses, admin_attempt_s=0.5) as stack:
            yield stack, double
    finally:
        await service.stop()


async def test_without_console_admin_there_is_no_admin(stack: Stack) -> None:
    assert (await stack.http.get("/admin/processes")).status_code == 404
    assert not [path for path in (await stack.http.get("/openapi.json")).json()["paths"] if path.startswith("/admin")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "shop.example"},
        {"Host": "127.0.0.1.shop.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_operates_nothing(payment: tuple[Stack, AdminDouble], headers: dict[str, str]) -> None:
    stack, double = payment
    answer = await stack.http.post("/admin/pause", json={"process": "payment"}, headers=headers)
    assert answer.status_code == 403
    assert not double.paused


async def test_a_form_of_another_site_is_no_json(payment: tuple[Stack, AdminDouble]) -> None:
    stack, double = payment
    answer = await stack.http.post(
        "/admin/pause", content='{"process": "payment"}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 422
    assert not double.paused


async def test_a_process_that_does_not_answer_is_shown_as_such(payment: tuple[Stack, AdminDouble]) -> None:
    stack, _ = payment
    found = {each["name"]: each for each in (await stack.http.get("/admin/processes")).json()}
    assert (found["payment"]["reachable"], found["payment"]["lag"]) == (True, 3)
    assert (found["shipping"]["reachable"], found["shipping"]["lag"]) == (False, None)
    assert "shipping" in found["shipping"]["problem"]


async def test_a_process_that_is_away_is_not_waited_for(payment: tuple[Stack, AdminDouble]) -> None:
    stack, _ = payment
    await stack.http.get("/admin/processes")
    assert 'sagaproof_gateway_retries_total{service="shipping-admin"} 0.0' in (await stack.http.get("/metrics")).text


async def test_a_fault_is_armed_by_the_full_name_of_its_type_and_cleared(payment: tuple[Stack, AdminDouble]) -> None:
    stack, double = payment
    fault = {"process": "payment", "point": "after-commit", "action": "kill", "messageType": "InventoryConfirmed"}
    assert (await stack.http.post("/admin/faults", json=fault)).status_code == 200
    assert double.faults[0].message_type == "shop.inventory.v1.InventoryConfirmed"
    assert double.faults[0].action == pb.FAULT_ACTION_KILL
    assert (await stack.http.post("/admin/faults/clear")).status_code == 200
    assert double.faults == []


@pytest.mark.parametrize(
    "change", [{"point": "nowhere"}, {"messageType": "Nothing"}, {"process": "order-9"}, {"surprise": 1}]
)
async def test_a_wrong_fault_is_a_422(payment: tuple[Stack, AdminDouble], change: dict[str, Any]) -> None:
    stack, double = payment
    fault = {"process": "payment", "point": "after-commit", "action": "kill"} | change
    answer = await stack.http.post("/admin/faults", json=fault)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]
    assert double.faults == []


async def test_a_dead_letter_is_shown_corrected_and_replayed(payment: tuple[Stack, AdminDouble]) -> None:
    stack, double = payment
    event = payment_events.PaymentFailed(order=common_pb2.Order(order_id=ORDER_ID, user_id="ada"))
    double.letters = {
        "a": a_letter("a", event.SerializeToString(), 1),
        "b": a_letter("b", b"\xff\xff", 2),
    }
    listed = (await stack.http.get("/admin/dead-letters")).json()
    assert [each["id"] for each in listed["items"]] == ["b", "a"]
    assert [each["service"] for each in listed["silent"]] == ["shipping"]
    broken, whole = listed["items"]
    assert whole["document"]["order"]["userId"] == "ada"
    assert (whole["type"], whole["orderId"], whole["place"]) == ("PaymentFailed", ORDER_ID, "payment/1/7")
    assert broken["document"] is None
    assert broken["draft"]["order"]["orderId"] == ORDER_ID

    wrong = {"service": "payment", "id": "a", "document": {"order": {"orderId": "no uuid"}}}
    refused = await stack.http.post("/admin/dead-letters/replay", json=wrong)
    assert refused.status_code == 422
    assert "order.orderId" in refused.json()["detail"]
    assert double.replayed == []

    as_it_is = await stack.http.post("/admin/dead-letters/replay", json={"service": "payment", "id": "a"})
    assert as_it_is.status_code == 200, as_it_is.text
    assert not double.replayed[0].HasField("payload")
    unknown = await stack.http.post("/admin/dead-letters/replay", json={"service": "payment", "id": "c"})
    assert unknown.status_code == 404
    assert (await stack.http.post("/admin/dead-letters/discard", json={"service": "payment", "id": "b"})).is_success
    assert double.discarded == ["b"]


async def test_a_process_is_paused_and_resumed(payment: tuple[Stack, AdminDouble]) -> None:
    stack, double = payment
    await stack.http.post("/admin/pause", json={"process": "payment"})
    assert double.paused
    await stack.http.post("/admin/resume", json={"process": "payment"})
    assert not double.paused
