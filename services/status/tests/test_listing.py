"""Lists of orders: filters, and pages that neither skip nor repeat while orders come in and move on."""

import asyncio
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from shop.common.v1.common_pb2 import OrderStatus, Reason
from shop.status.v1.lists_pb2 import OrderFilter, Phase, Place

from services.engine.participant import State
from services.status import listing
from services.status.documents import saga_of, summary
from services.status.fold import StatusState
from services.status.tests.model import START_MS, Model, order_id, story

EVERYTHING = OrderFilter()


def pages(model: Model, asked: OrderFilter, limit: int = 3, between: Callable[[], object] = lambda: None) -> list[str]:
    """The ids of all orders that match, page by page; `between` two pages something happens."""

    async def read() -> list[str]:
        found: list[str] = []
        after: Place | None = None
        while True:
            page = await listing.page_of(model.commands, asked, after, limit)
            assert len(page.orders) <= limit
            found += [order.id for order in page.orders]
            if page.next is None:
                return found
            after = page.next
            between()

    return asyncio.run(read())


@pytest.fixture
def some(model: Model) -> dict[str, list[str]]:
    """Twelve orders: what they are -> their ids, the newest first."""
    by_kind: dict[str, list[str]] = {}
    kinds = [("ada", "COMPLETED", 99), ("bob", "CANCELLED", 99), ("ada", "COMPLETED", 2), ("bob", "COMPLETED", 3)]
    for number, (user, ending, steps) in zip(range(12), kinds * 3, strict=True):
        an_id = order_id(number)
        model.see(story(an_id, ending, user, steps), ms=number)
        names = [user, f"{user} {ending}" if steps == 99 else f"{user} open"]
        for name in ("all", *names, "open" if steps < 99 else ending):
            by_kind.setdefault(name, []).insert(0, an_id)
    return by_kind


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (EVERYTHING, "all"),
        (OrderFilter(user_id="ada"), "ada"),
        (OrderFilter(status=OrderStatus.ORDER_STATUS_COMPLETED), "COMPLETED"),
        (OrderFilter(status=OrderStatus.ORDER_STATUS_CANCELLED), "CANCELLED"),
        (OrderFilter(status=OrderStatus.ORDER_STATUS_AWAITING_PAYMENT), "ada open"),
        (OrderFilter(status=OrderStatus.ORDER_STATUS_AWAITING_SHIPMENT), "bob open"),
        (OrderFilter(phase=Phase.PHASE_OPEN), "open"),
        (OrderFilter(user_id="bob", status=OrderStatus.ORDER_STATUS_CANCELLED), "bob CANCELLED"),
        (OrderFilter(user_id="ada", phase=Phase.PHASE_OPEN), "ada open"),
        (OrderFilter(reason=Reason.REASON_OUT_OF_STOCK), "CANCELLED"),
        (OrderFilter(reason=Reason.REASON_TIMED_OUT), "none"),
        (OrderFilter(user_id="nobody"), "none"),
        (OrderFilter(status=OrderStatus.ORDER_STATUS_COMPLETED, reason=Reason.REASON_OUT_OF_STOCK), "none"),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [1, 2, 50])
def test_a_filter_finds_its_orders_the_newest_first(
    model: Model, some: dict[str, list[str]], asked: OrderFilter, kind: str, limit: int
) -> None:
    assert pages(model, asked, limit) == some.get(kind, [])


def test_ended_orders_are_those_of_both_endings(model: Model, some: dict[str, list[str]]) -> None:
    ended = sorted(some["COMPLETED"] + some["CANCELLED"], reverse=True)
    assert pages(model, OrderFilter(phase=Phase.PHASE_ENDED)) == ended


@pytest.mark.parametrize("asked", [EVERYTHING, OrderFilter(user_id="ada")], ids=["all", "of a user"])
def test_nothing_is_skipped_and_nothing_comes_twice_while_orders_come_in_and_end(
    model: Model, asked: OrderFilter
) -> None:
    at_first = [order_id(ms) for ms in range(40)]
    for an_id in at_first:
        model.see(story(an_id, steps=1))
    chosen, newer = random.Random(7), count(1000)

    def go_on() -> None:
        ended = chosen.choice(at_first)
        model.see(story(ended, chosen.choice(["COMPLETED", "CANCELLED"]))[1:])
        model.see(story(order_id(next(newer)), steps=1))

    assert pages(model, asked, 3, go_on) == at_first[::-1]


def test_where_few_of_many_match_a_page_ends_early_and_the_next_goes_on(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKED_AT_MAX", 10)
    wanted = order_id(0)
    model.see(story(wanted, "CANCELLED"))
    for ms in range(1, 36):
        model.see(story(order_id(ms)))
    asked = OrderFilter(user_id="ada", status=OrderStatus.ORDER_STATUS_CANCELLED)
    looks = count()
    assert pages(model, asked, 5, lambda: next(looks)) == [wanted]
    assert next(looks) == 3


def test_a_page_of_one_does_not_read_one_order_at_a_time_where_few_match(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ms in range(300):
        model.see(story(order_id(ms), "CANCELLED"))
    reads = 0
    page = model.store.page

    def counted(*asked: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return page(*asked, **options)

    monkeypatch.setattr(model.store, "page", counted)
    assert pages(model, OrderFilter(reason=Reason.REASON_TIMED_OUT), 1) == []
    assert reads <= 2


def test_open_orders_are_counted_by_status_up_to_a_bound(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for ms in range(5):
        model.see(story(order_id(ms), steps=1 if ms < 2 else 2))
    model.see(story(order_id(9)))
    pending, paying = OrderStatus.ORDER_STATUS_PENDING, OrderStatus.ORDER_STATUS_AWAITING_PAYMENT
    assert asyncio.run(listing.count_open(model.commands)) == ({pending: 2, paying: 3}, False)
    monkeypatch.setattr(listing, "OPEN_COUNTED_MAX", 4)
    assert asyncio.run(listing.count_open(model.commands)) == ({pending: 1, paying: 3}, True)


def state_of(model: Model, an_id: str) -> StatusState:
    state: State = asyncio.run(model.commands.read(StatusState, an_id))
    assert isinstance(state, StatusState)
    return state


def test_a_summary_has_the_times_of_the_first_and_the_last_event(model: Model) -> None:
    an_id = order_id(0)
    model.see(story(an_id), step_ms=1.5)
    shown = summary(state_of(model, an_id))
    assert (shown.order_id, shown.user_id, shown.seq) == (an_id, "ada", 5)
    assert shown.created_at.ToMilliseconds() == START_MS
    assert shown.updated_at.ToMicroseconds() == START_MS * 1000 + 6000
    assert shown.total.amount_minor == 2999


def test_a_saga_has_its_steps_with_the_time_between_them(model: Model) -> None:
    an_id = order_id(0)
    model.see(story(an_id), step_ms=2.5)
    saga = saga_of(state_of(model, an_id))
    assert [step.type for step in saga.steps] == [
        "OrderCreated",
        "InventoryConfirmed",
        "PaymentCompleted",
        "Shipped",
        "OrderCompleted",
    ]
    assert [step.since_previous.ToMicroseconds() for step in saga.steps] == [0, 2500, 2500, 2500, 2500]
    assert [step.service for step in saga.steps] == ["order", "inventory", "payment", "shipping", "order"]
    assert saga.duration.ToMicroseconds() == 10_000
    assert not any(step.compensation for step in saga.steps)


def test_an_open_saga_has_no_duration(model: Model) -> None:
    model.see(story(order_id(0), steps=2))
    assert not saga_of(state_of(model, order_id(0))).HasField("duration")
