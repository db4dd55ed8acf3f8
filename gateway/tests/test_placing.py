"""POST /order and cancel: ids, joining, retries, the circuit."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from gateway.tests import doubles
from gateway.tests.conftest import Stack, an_order, eventually, running

pytestmark = pytest.mark.anyio


async def test_an_order_is_accepted_with_a_version_7_id_and_a_location(stack: Stack) -> None:
    answer = await stack.http.post("/order", json=an_order(deliveryAddress="1 Main Street\nParis"))
    assert answer.status_code == 202
    body = answer.json()
    assert body == {"orderId": body["orderId"], "status": "PENDING"}
    assert uuid.UUID(body["orderId"]).version == 7
    assert answer.headers["location"] == f"/status/{body['orderId']}"
    assert stack.order.accepted[body["orderId"]].delivery_address == "1 Main Street\nParis"


async def test_the_same_key_and_body_is_the_same_order(stack: Stack) -> None:
    headers = {"Idempotency-Key": "key 1"}
    answers = [await stack.http.post("/order", json=an_order(), headers=headers) for _ in range(3)]
    ids = {answer.json()["orderId"] for answer in answers}
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert len(ids) == len(stack.order.accepted) == 1
    assert uuid.UUID(ids.pop()).version == 5


async def test_the_same_key_with_another_body_is_refused(stack: Stack) -> None:
    headers = {"Idempotency-Key": "key-1"}
    first = await stack.http.post("/order", json=an_order(), headers=headers)
    second = await stack.http.post("/order", json=an_order(deliveryAddress="elsewhere"), headers=headers)
    assert second.status_code == 422
    assert second.json()["type"] == "urn:sagaproof:problem:idempotency-key-reused"
    assert second.json()["errors"][0]["field"] == "Idempotency-Key"
    assert second.json()["orderId"] == first.json()["orderId"]


async def test_a_key_is_scoped_to_its_user(stack: Stack) -> None:
    headers = {"Idempotency-Key": "key-1"}
    for user in ("user-1", "user-2"):
        assert (await stack.http.post("/order", json=an_order(userId=user), headers=headers)).status_code == 202
    assert len(stack.order.accepted) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tin", "gr\u00fcn"])
async def test_a_key_that_is_not_printable_or_too_long_is_refused(stack: Stack, key: str) -> None:
    answer = await stack.http.post("/order", json=an_order(), headers={b"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_two_keys_in_one_request_are_refused(stack: Stack) -> None:
    answer = await stack.http.post(
        "/order", json=an_order(), headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    )
    assert answer.status_code == 422


async def test_orders_that_come_while_a_call_is_in_flight_go_together_with_the_next() -> None:
    async with running(join_patience_s=30) as stack:
        gate = asyncio.Event()

        async def wait_for_gate(_: object) -> None:
            await gate.wait()

        stack.order.faults_before.append(wait_for_gate)
        first = asyncio.create_task(stack.place())
        await eventually(lambda: len(stack.order.calls) == 1)
        others = [asyncio.create_task(stack.place(userId=f"user-{n}")) for n in range(50)]
        joiner = stack.server.lifespan.state["gateway"].services._joiner
        await eventually(lambda: len(joiner._queue) == 50)
        gate.set()
        ids = await asyncio.gather(first, *others)
        assert [len(call) for call in stack.order.calls] == [1, 50]
        assert len(set(ids)) == 51
        assert len(set(stack.order.traceparents)) == 51, "each order has a trace of its own"
        assert {stack.order.accepted[order_id].user_id for order_id in ids[1:]} == {f"user-{n}" for n in range(50)}


async def test_a_slow_call_does_not_hold_up_the_next_order_for_longer_than_the_patience(stack: Stack) -> None:
    stack.order.faults_before.append(doubles.hang)
    slow = asyncio.create_task(stack.place())
    await eventually(lambda: len(stack.order.calls) == 1)
    await asyncio.wait_for(stack.place(), 1)
    assert await asyncio.wait_for(slow, 10) in stack.order.accepted


async def test_each_order_of_a_joined_call_gets_its_own_answer(stack: Stack) -> None:
    unknown = [{"productId": "product-1", "quantity": 1}, {"productId": "product-9", "quantity": 1}]
    answers = await asyncio.gather(
        *(stack.http.post("/order", json=an_order(items=unknown) if n % 2 else an_order()) for n in range(20))
    )
    assert [answer.status_code for answer in answers] == [202, 422] * 10
    assert answers[1].json()["errors"] == [{"field": "items[1].productId", "message": "is not known"}]


async def test_one_order_that_fails_the_whole_call_does_not_take_the_others_along() -> None:
    async with running(join_patience_s=30) as stack:
        gate = asyncio.Event()

        async def wait_for_gate(_: object) -> None:
            await gate.wait()

        stack.order.poison_user = "poison"
        stack.order.faults_before.append(wait_for_gate)
        first = asyncio.create_task(stack.place())
        await eventually(lambda: len(stack.order.calls) == 1)
        posts = [
            asyncio.create_task(stack.http.post("/order", json=an_order(userId="poison" if n == 5 else "user-1")))
            for n in range(9)
        ]
        joiner = stack.server.lifespan.state["gateway"].services._joiner
        await eventually(lambda: len(joiner._queue) == 9)
        gate.set()
        await first
        answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [202] * 5 + [422] + [202] * 3
        assert answers[5].json()["errors"] == [{"field": "items[0].productId", "message": "does not match"}]


async def test_a_lost_answer_is_asked_for_again_with_the_same_id(stack: Stack) -> None:
    stack.order.faults_after.append(doubles.unavailable)
    order_id = await stack.place()
    assert stack.order.calls == [[order_id], [order_id]]
    assert list(stack.order.accepted) == [order_id]
    assert await stack.metric('sagaproof_gateway_retries_total{service="order"}') == 1


async def test_when_all_retries_are_used_up_the_answer_names_the_order_that_may_exist() -> None:
    async with running(place_deadline_s=0.4) as stack:
        stack.order.always = doubles.unavailable
        answer = await stack.http.post("/order", json=an_order())
        assert answer.status_code == 503
        problem = answer.json()
        assert problem["type"] == "urn:sagaproof:problem:outcome-unknown"
        assert answer.headers["retry-after"] == "1"
        assert {order_id for call in stack.order.calls for order_id in call} == {problem["orderId"]}
        assert len(stack.order.calls) > 1


async def test_an_order_that_is_on_its_way_survives_a_restart_of_the_order_service(stack: Stack) -> None:
    await stack.place()
    await stack.order_service.stop()
    waiting = asyncio.create_task(stack.place())
    gateway = stack.server.lifespan.state["gateway"]
    await eventually(lambda: gateway.services.order.breaker._failures >= 2)
    await stack.order_service.start()
    assert await waiting in stack.order.accepted


async def test_with_the_circuit_open_a_new_order_fails_at_once_and_nothing_is_sent() -> None:
    async with running(circuit_failures=2, circuit_cooldown_s=60, place_deadline_s=0.5) as stack:
        stack.order.always = doubles.unavailable
        first = await stack.http.post("/order", json=an_order())
        assert first.json()["orderId"]
        calls = len(stack.order.calls)
        second = await stack.http.post("/order", json=an_order())
        assert second.status_code == 503
        assert second.json()["type"] == "urn:sagaproof:problem:service-unavailable"
        assert "orderId" not in second.json()
        assert len(stack.order.calls) == calls
        assert await stack.metric('sagaproof_gateway_circuit_open{service="order"}') == 1


async def test_the_circuit_closes_again_once_the_service_is_back() -> None:
    async with running(circuit_failures=2, circuit_cooldown_s=0.2, place_deadline_s=0.3) as stack:
        stack.order.always = doubles.unavailable
        await stack.http.post("/order", json=an_order())
        stack.order.always = None
        answers: list[int] = []

        async def post() -> None:
            answers.append((await stack.http.post("/order", json=an_order())).status_code)

        while not answers or answers[-1] != 202:
            await asyncio.wait_for(post(), 1)
            assert len(answers) < 1000
        assert await stack.metric('sagaproof_gateway_circuit_open{service="order"}') == 0


async def test_a_full_queue_is_overload_and_says_when_to_come_back() -> None:
    async with running(max_waiting_orders=2, max_calls_in_flight=1, place_attempt_s=0.5, place_deadline_s=0.6) as stack:
        stack.order.always = doubles.hang
        in_flight = asyncio.create_task(stack.http.post("/order", json=an_order()))
        await eventually(lambda: len(stack.order.calls) == 1)
        answers = await asyncio.gather(*(stack.http.post("/order", json=an_order()) for _ in range(5)), in_flight)
        full = [answer for answer in answers if answer.json()["type"].endswith("overloaded")]
        assert len(full) == 3
        assert all(answer.status_code == 503 and answer.headers["retry-after"] == "1" for answer in full)


async def test_a_cancellation_is_accepted_and_may_be_repeated(stack: Stack) -> None:
    order_id = await stack.place()
    for _ in range(2):
        answer = await stack.http.post(f"/order/{order_id}/cancel")
        assert answer.status_code == 202
        assert answer.json() == {"orderId": order_id, "status": "AWAITING_SHIPMENT"}


async def test_cancelling_an_order_that_has_ended_is_a_conflict(stack: Stack) -> None:
    order_id = await stack.place()
    stack.order.ended.add(order_id)
    answer = await stack.http.post(f"/order/{order_id}/cancel")
    assert (answer.status_code, answer.json()["detail"]) == (409, "the order is COMPLETED")


@pytest.mark.parametrize("order_id", ["0b0f5d3c-7f4e-4d52-9c1a-6f1f6d1b2a77", "nonsense", "%F0%9F%98%80"])
async def test_cancelling_an_order_that_was_never_accepted_is_not_found(stack: Stack, order_id: str) -> None:
    answer = await stack.http.post(f"/order/{order_id}/cancel")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:sagaproof:problem:unknown-order")


async def test_the_trace_of_the_client_goes_on_to_the_service_with_a_new_span(stack: Stack) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = f"00-{trace_id}-00f067aa0ba902b7-01"
    await stack.http.post("/order", json=an_order(), headers={"traceparent": sent})
    [received] = stack.order.traceparents
    assert received.split("-")[1] == trace_id
    assert received != sent
