"""Rebuild: folding all events again finds every state that is not what they say."""

import pytest

from services.engine.rebuild import rebuild
from services.engine.store import Changes, StateRow
from services.engine.tests.lives import Life
from services.engine.tests.toy import several, toy


@pytest.fixture
def used(life: Life) -> Life:
    life.engine.cycle(several("a add", "b both", "a add", "c fail"), [])
    return life


def put(life: Life, entity: str, row: StateRow) -> None:
    with life.store.transaction() as transaction:
        transaction.write(Changes(0, states={entity: row}))


def test_a_store_that_nobody_touched_is_as_its_events_say(used: Life) -> None:
    result = rebuild(toy(), used.store)
    assert (result.entities, result.events, result.different) == (2, 4, {})


def test_an_empty_store_is_in_order(life: Life) -> None:
    assert rebuild(toy(), life.store).entities == 0


@pytest.mark.parametrize(
    "row",
    [StateRow(2, '{"count":7}'), StateRow(2, "{}"), StateRow(3, '{"count":2}'), StateRow(1, '{"count":2}')],
    ids=["another state", "no state", "a later version", "an earlier version"],
)
def test_a_corrupted_state_is_found_and_what_it_should_be_is_said(used: Life, row: StateRow) -> None:
    put(used, "counter/a", row)
    assert rebuild(toy(), used.store).different == {"counter/a": StateRow(2, '{"count":2}')}


def test_a_state_without_any_event_is_found(used: Life) -> None:
    put(used, "counter/z", StateRow(1, '{"count":1}'))
    assert set(rebuild(toy(), used.store).different) == {"counter/z"}


@pytest.mark.parametrize("row", [StateRow(2, '{"count":7}'), StateRow(9, '{"count":2}')])
def test_a_repair_puts_right_what_is_corrupted_and_drops_what_no_event_has_made(used: Life, row: StateRow) -> None:
    put(used, "counter/a", row)
    put(used, "counter/z", StateRow(1, '{"count":1}'))
    assert set(rebuild(toy(), used.store, repair=True).different) == {"counter/a", "counter/z"}
    assert rebuild(toy(), used.store).different == {}
    assert used.store.entity("counter/z") is None
    assert used.counter("a").count == 2


def test_the_same_state_written_down_otherwise_is_the_same(used: Life) -> None:
    put(used, "counter/b", StateRow(2, '{ "marked": true, "count": 1 }'))
    assert rebuild(toy(), used.store).different == {}
