"""What every store must tell of what is still to be done."""

from services.engine.store import BACKLOG_MAX, Backlog, Changes, Store
from services.engine.tests.stores import event, letter, write


def test_an_empty_store_has_nothing_to_do(store: Store) -> None:
    assert store.backlog() == Backlog(0, None, 0)


def test_unmarked_public_events_and_open_dead_letters_are_counted(store: Store) -> None:
    early, private = event("thing/a", 1), event("thing/b", 1, topic=None)
    late = event("thing/a", 2)._replace(time_us=2000)
    write(store, Changes(1000, events=[late, early, private], dead_letters=[letter("x"), letter("y")]))
    assert store.backlog() == Backlog(4, 1000, 2), "the dead letters are told by public events"
    first = store.unpublished(["k"], 1)
    assert [found.entity for found in first] == ["thing/a"]
    store.mark_published([found.seq for found in store.unpublished(None, 10) if found.time_us == 1000], 3000)
    store.discard("x")
    assert store.backlog() == Backlog(1, 2000, 1)


def test_counts_end_where_they_are_many_enough(store: Store) -> None:
    many = [event(f"thing/{n}", 1, key=f"k{n}") for n in range(BACKLOG_MAX + 10)]
    write(store, Changes(1000, events=many))
    assert store.backlog().unpublished == BACKLOG_MAX
