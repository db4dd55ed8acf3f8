"""The dashboard: what is counted, in whatever order and in whichever partition it comes."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop.common.v1.common_pb2 import Money, OrderStatus, Reason
from shop.status.v1 import dashboard_pb2 as pb

from services.status import figures
from services.status.dashboard import dashboard
from services.status.figures import MINUTES_KEPT, Counted, FiguresState, counted, latency_class, tally
from services.status.tests.model import START_MS, Model, order_id, story

MINUTE_US = 60_000_000


def shown(model: Model) -> pb.Dashboard:
    async def read() -> pb.Dashboard:
        found = await model.commands.read_all(FiguresState)
        return dashboard(found.values(), {}, False)

    return asyncio.run(read())


def test_orders_count_by_their_acceptance_and_their_ending_over_all_partitions(model: Model) -> None:
    for number in range(6):
        model.see(story(order_id(number), "COMPLETED" if number < 3 else "CANCELLED"), ms=number, partition=number % 4)
    model.see(story(order_id(9), steps=2), ms=9)
    found = shown(model)
    assert (found.accepted, found.completed, found.cancelled) == (7, 3, 3)
    assert list(found.reasons) == [pb.ReasonCount(reason=Reason.REASON_OUT_OF_STOCK, orders=3)]
    assert list(found.revenue) == [Money(amount_minor=3 * 2999, currency="USD")]
    (minute,) = found.minutes
    assert (minute.accepted, minute.completed, minute.cancelled) == (7, 3, 3)
    assert minute.begins_at.ToMilliseconds() == START_MS
    assert found.latency.orders == 6
    assert found.latency.p95_ms == pytest.approx(20, rel=0.1)
    assert found.latency.p50_ms == pytest.approx(10, rel=0.1)


def test_the_same_events_again_count_nothing(model: Model) -> None:
    model.see(story(order_id(0)))
    before = shown(model)
    model.see(story(order_id(0)))
    assert shown(model) == before


def test_replicas_that_share_partitions_out_never_write_the_same_sum(model: Model) -> None:
    for number in range(4):
        model.see(story(order_id(number)), partition=number)
    assert set(asyncio.run(model.commands.read_all(FiguresState))) == {"0", "1", "2", "3"}


def test_without_orders_there_is_nothing_to_show() -> None:
    assert dashboard([], {}, False) == pb.Dashboard(latency=pb.Latency())


def test_open_orders_come_by_status() -> None:
    found = dashboard([], {OrderStatus.ORDER_STATUS_COMPENSATING: 2, OrderStatus.ORDER_STATUS_PENDING: 1}, True)
    pending, compensating = OrderStatus.ORDER_STATUS_PENDING, OrderStatus.ORDER_STATUS_COMPENSATING
    assert [(each.status, each.orders) for each in found.open] == [(pending, 1), (compensating, 2)]
    assert found.open_is_partial


NAMES = st.sampled_from(sorted(figures.COUNTED))
COUNTS = st.builds(
    Counted,
    NAMES,
    st.integers(0, 3 * MINUTES_KEPT),
    st.sampled_from(["REASON_TIMED_OUT", "REASON_OUT_OF_STOCK"]),
    st.integers(0, 100),
    st.just("USD"),
    st.none() | st.tuples(st.integers(0, 3 * MINUTES_KEPT), st.integers(0, 5)),
)


def total(counts: Sequence[Counted]) -> FiguresState:
    state = FiguresState()
    for count in counts:
        state = counted(state, count)
    return state


@given(st.data(), st.lists(COUNTS, max_size=30))
def test_any_order_of_arrival_gives_the_same_figures(data: st.DataObject, counts: list[Counted]) -> None:
    there = total(counts)
    assert total(data.draw(st.permutations(counts))) == there
    assert len(there.minutes) <= MINUTES_KEPT
    assert there.accepted + there.completed + there.cancelled == len(counts)


@given(st.floats(1, 1e7))
def test_a_latency_is_told_within_ten_percent(ms: float) -> None:
    assert figures.STEP ** latency_class(ms) == pytest.approx(ms, rel=0.1)


@pytest.mark.parametrize("created_first", [True, False])
def test_a_latency_counts_in_the_minute_of_the_ending_whichever_end_is_seen_first(
    model: Model, created_first: bool
) -> None:
    created, *_, completed = story(order_id(0))
    ends = [(created, 0), (completed, 90_000)]
    for event, ms in ends if created_first else ends[::-1]:
        model.see([event], ms=ms)
    figures_ = asyncio.run(model.commands.read_all(FiguresState))["0"]
    first, second = sorted(figures_.minutes)
    assert second == first + 1
    assert figures_.minutes[first].latencies == {}
    assert figures_.minutes[second].latencies == {latency_class(90_000): 1}


def test_an_ending_that_seems_to_come_before_its_order_took_no_time() -> None:
    assert tally("OrderCompleted", 7, "", Money(), 10, 7).latency == (0, 0)
