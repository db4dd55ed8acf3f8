"""What every store must do for read models: indexes, and a log of the events that were handled."""

from services.engine.participant import IndexRow
from services.engine.store import Changes, NewLogged, StateRow, Store
from services.engine.tests.stores import Open, write


def by_user(user: str, position: str) -> IndexRow:
    return IndexRow("by-user", user, position)


def indexed(*rows: tuple[IndexRow, str]) -> Changes:
    return Changes(1000, states={entity: StateRow(1, "{}") for _, entity in rows}, indexed=list(rows))


def names(store: Store, bucket: str = "ann", after: tuple[str, str] | None = None, **how: bool) -> list[str]:
    return [found.entity for found in store.page("by-user", bucket, after, 100, **how)]


def logged(number: int, key: str = "k", type_name: str = "shop.Happened") -> NewLogged:
    return NewLogged(f"id-{number}", type_name, key, "order", number, "cause", "00-trace", b"\x00\xff")


def numbers(store: Store, key: str = "", type_name: str = "", after_seq: int | None = None, **how: bool) -> list[int]:
    return [found.time_us for found in store.log(key, type_name, after_seq, 100, **how)]


def test_entities_of_a_bucket_come_in_the_order_of_their_positions(store: Store) -> None:
    write(store, indexed((by_user("ann", "2"), "x/b"), (by_user("ann", "1"), "x/c"), (by_user("bob", "1"), "x/d")))
    assert names(store) == ["x/c", "x/b"]
    assert names(store, descending=True) == ["x/b", "x/c"]
    assert names(store, "nobody") == []


def test_positions_are_ordered_code_point_by_code_point_and_equal_ones_by_entity(store: Store) -> None:
    write(store, indexed(*((by_user("ann", position), f"x/{position}") for position in ("a", "B", "é", "_"))))
    write(store, indexed((by_user("ann", "a"), "x/0"), (by_user("ann", "a"), "x/z")))
    assert names(store) == ["x/B", "x/_", "x/0", "x/a", "x/z", "x/é"]


def test_an_entity_is_found_with_its_state(store: Store) -> None:
    write(store, indexed((by_user("ann", "1"), "x/a")))
    write(store, Changes(2000, states={"x/a": StateRow(2, '{"n":2}')}))
    assert store.page("by-user", "ann", None, 10) == [("1", "x/a", StateRow(2, '{"n":2}'))]


def test_a_page_begins_behind_the_last_one_in_either_direction(store: Store) -> None:
    write(store, indexed(*((by_user("ann", position), f"x/{n}") for n, position in enumerate("1122"))))
    assert names(store, after=("1", "x/0")) == ["x/1", "x/2", "x/3"]
    assert names(store, after=("2", "x/2"), descending=True) == ["x/1", "x/0"]
    assert len(store.page("by-user", "ann", None, 3)) == 3


def test_an_entity_leaves_an_index(store: Store) -> None:
    write(store, indexed((by_user("ann", "1"), "x/a"), (by_user("ann", "2"), "x/b")))
    write(store, Changes(2000, unindexed=[(by_user("ann", "1"), "x/a")], indexed=[(by_user("ann", "3"), "x/a")]))
    assert names(store) == ["x/b", "x/a"]


def test_an_entity_whose_state_is_dropped_is_in_no_index(store: Store) -> None:
    write(store, indexed((by_user("ann", "1"), "x/a"), (by_user("bob", "1"), "x/a"), (by_user("ann", "2"), "x/b")))
    with store.transaction() as transaction:
        transaction.drop_states(["x/a"])
        transaction.write(Changes(2000, states={"x/a": StateRow(1, "{}")}))
    assert (names(store), names(store, "bob")) == (["x/b"], [])


def test_an_index_row_that_is_there_already_is_no_conflict(store: Store) -> None:
    write(store, indexed((by_user("ann", "1"), "x/a")))
    write(store, indexed((by_user("ann", "1"), "x/a")))
    assert names(store) == ["x/a"]


def test_the_log_gives_events_as_they_were_kept(store: Store) -> None:
    write(store, Changes(1000, log=[logged(1)]))
    [found] = store.log("", "", None, 10)
    assert found[1:] == logged(1)


def test_the_log_is_read_by_key_and_by_type_in_either_direction(store: Store) -> None:
    write(store, Changes(1000, log=[logged(1, "a"), logged(2, "b", "shop.Other"), logged(3, "b"), logged(4, "a")]))
    assert numbers(store) == [1, 2, 3, 4]
    assert numbers(store, descending=True) == [4, 3, 2, 1]
    assert numbers(store, "a") == [1, 4]
    assert numbers(store, "", "shop.Other") == [2]
    assert numbers(store, "b", "shop.Happened") == [3]


def test_a_page_of_the_log_begins_behind_the_last_one_in_either_direction(store: Store) -> None:
    write(store, Changes(1000, log=[logged(n) for n in range(1, 6)]))
    seqs = [found.seq for found in store.log("", "", None, 10)]
    assert numbers(store, after_seq=seqs[2]) == [4, 5]
    assert numbers(store, after_seq=seqs[2], descending=True) == [2, 1]
    assert len(store.log("", "", None, 2)) == 2


def test_an_event_is_in_the_log_once(store: Store) -> None:
    write(store, Changes(1000, log=[logged(1)]))
    write(store, Changes(1000, log=[logged(1), logged(2)]))
    assert numbers(store) == [1, 2]


def test_indexes_and_log_are_there_after_the_store_is_opened_again(open_store: Open) -> None:
    write(open_store(), Changes(1000, indexed=[(by_user("ann", "1"), "x/a")], states={"x/a": StateRow(1, "{}")}))
    write(open_store(), Changes(1000, log=[logged(1)]))
    again = open_store()
    assert names(again) == ["x/a"]
    assert numbers(again) == [1]


def test_a_snapshot_has_every_place_and_every_logged_event_in_the_order_of_code_points(store: Store) -> None:
    places = [
        (by_user("é", "1"), "x/a"),
        (by_user("B", "2"), "x/a"),
        (by_user("b", "1"), "x/c"),
        (by_user("b", "1"), "x/b"),
    ]
    write(store, indexed(*places))
    write(store, Changes(1000, log=[logged(2), logged(10), logged(1)]))
    with store.snapshot() as snapshot:
        assert list(snapshot.places()) == sorted(places)
        assert list(snapshot.logged()) == [logged(1), logged(10), logged(2)]


def test_events_are_taken_out_of_the_log(store: Store) -> None:
    write(store, Changes(1000, log=[logged(1), logged(2), logged(3)]))
    with store.transaction() as transaction:
        transaction.drop_logged(["id-1", "id-3", "id-9"])
    assert numbers(store) == [2]
