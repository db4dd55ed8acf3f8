"""What only the store in memory can: be copied, and be compared."""

from services.engine.memory import MemoryStore
from services.engine.store import Changes, StateRow, Timer
from services.engine.tests.stores import event, letter, write


def filled() -> MemoryStore:
    store = MemoryStore()
    timers = {("thing/a", "t"): Timer("thing/a", "t", 1, 100, "")}
    states = {"thing/a": StateRow(1, "1")}
    write(
        store,
        Changes(
            1, {"m"}, [event("thing/a", 1), event("thing/b", 1)], states, timers=timers, dead_letters=[letter("l")]
        ),
    )
    return store


def test_a_copy_has_the_same_content_and_is_written_alone() -> None:
    store = filled()
    before = store.content()
    copied = store.copy()
    assert copied.content() == before
    write(copied, Changes(2, {"n"}, [event("thing/a", 2)], {"thing/a": StateRow(2, "2")}, stopped={("thing/a", "t")}))
    copied.mark_published([1], 2)
    copied.discard("l")
    assert store.content() == before
    assert store.entity("thing/a") == StateRow(1, "1")
    assert [found.version for found in copied.events("thing/a", 0, 10)] == [1, 2]


def test_stores_are_the_same_though_they_were_written_at_another_time() -> None:
    one, other = MemoryStore(), MemoryStore()
    write(one, Changes(1, {"m"}, [event("thing/a", 1)]))
    write(other, Changes(2, {"m"}, [event("thing/a", 1)]))
    one.mark_published([1], 10)
    assert one.content() != other.content()
    other.mark_published([1], 20)
    assert one.content() == other.content()
    assert hash(one.content()) == hash(other.content())
