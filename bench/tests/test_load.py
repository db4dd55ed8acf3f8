"""What the generator promises, against a server whose answers the tests hold back."""

from __future__ import annotations

from array import array

import pytest

from bench.baskets import draw
from bench.load import Generator, Result, Spec, due_after
from bench.measuring import accepted
from bench.tests.gateway import gateway

PRODUCTS = ["product-1", "product-2"]


def load(port: int, *, connections: int = 1, rate: float = 0.0, orders: int = 10, first: int = 0) -> Result:
    spec = Spec("127.0.0.1", port, "", connections, 50, PRODUCTS, rate, 0.0, orders, first)
    return Generator(spec).run()


def doubles(column: bytes) -> list[float]:
    return list(array("d", column))


def test_a_closed_loop_has_never_more_orders_in_flight_than_connections() -> None:
    with gateway(lambda seen: seen.in_flight == 2 or len(seen.bodies) == 40) as (port, seen):
        result = load(port, connections=2, orders=40)
    assert len(seen.bodies) == 40
    assert seen.in_flight_max == 2
    assert len(list(accepted(result))) == 40
    assert result.errors == {}


def test_an_open_loop_sends_what_is_due_though_nothing_was_answered() -> None:
    with gateway(lambda seen: len(seen.bodies) == 20) as (port, _):
        result = load(port, rate=200.0, orders=20)
    assert len(list(accepted(result))) == 20


def test_orders_of_an_open_loop_are_due_at_a_constant_rate_and_never_sent_before() -> None:
    with gateway() as (port, _):
        result = load(port, rate=500.0, orders=50)
    due = doubles(result.due)
    assert due == pytest.approx([result.started + n / 500.0 for n in range(50)])
    assert all(sent >= at for sent, at in zip(doubles(result.sent), due, strict=True))


def test_the_schedule_does_not_drift() -> None:
    assert [due_after(n, 100.0) for n in (0, 1, 100, 360_000)] == [0.0, 0.01, 1.0, 3600.0]


def test_orders_are_those_that_the_check_will_count() -> None:
    with gateway() as (port, seen):
        load(port, orders=5, first=10_005)
    drawn = draw(50, PRODUCTS)
    expected = [drawn[n % len(drawn)] for n in range(10_005, 10_010)]
    assert [(body["userId"], body["items"]) for body in seen.bodies] == [
        (basket.user, [{"productId": basket.product, "quantity": 1}]) for basket in expected
    ]


def test_what_is_refused_or_cut_off_is_counted_and_not_taken_for_an_order() -> None:
    with gateway(status=lambda n: {3: 503, 5: 0}.get(n, 202)) as (port, _):
        result = load(port, orders=8)
    orders = list(accepted(result))
    assert [order.n for order in orders] == [0, 1, 3, 5, 6, 7]
    assert len({order.order_id for order in orders}) == 6
    assert sum(result.errors.values()) == 2
    assert any(error.startswith("answered 503") for error in result.errors)
    assert "connection closed" in result.errors


@pytest.mark.parametrize("rate", [0.0, 20.0])
def test_with_nobody_there_it_ends_and_says_so(rate: float) -> None:
    with gateway() as (port, _):
        pass
    spec = Spec("127.0.0.1", port, "", 2, 50, PRODUCTS, rate, orders=20, answer_within_s=0.3)
    result = Generator(spec).run()
    assert list(accepted(result)) == []
    assert any(error.startswith("cannot connect") for error in result.errors)
    assert any(error.startswith("ended") for error in result.errors)
