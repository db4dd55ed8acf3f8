"""What every store must do. A store is tested by adding it to `STORES`."""

import threading

import pytest

from services.engine.store import Changes, ConflictError, DeadLetter, NewEvent, StateRow, Store, Timer
from services.engine.tests.stores import Open, changes, event, letter, write


def everything(name: str) -> Changes:
    """A change of each kind, all named after `name`."""
    return Changes(
        1000,
        inbox={f"{name}-in"},
        events=[event(f"thing/{name}", 1)],
        states={f"thing/{name}": StateRow(1, '{"n":1}')},
        timers={(f"thing/{name}", "t"): Timer(f"thing/{name}", "t", 1, 500, "00-trace")},
        dead_letters=[letter(f"{name}-dead")],
    )


def assert_nothing_of(store: Store, name: str) -> None:
    with store.transaction() as transaction:
        assert transaction.seen([f"{name}-in"]) == set()
        assert transaction.load([f"thing/{name}"]) == {}
    assert store.events(f"thing/{name}", 0, 10) == []
    assert store.next_timer_us() is None
    assert store.dead_letter(f"{name}-dead") is None
    assert store.unpublished(None, 10) == []


# The transaction


def test_all_of_a_transaction_is_there_after_it(store: Store) -> None:
    write(store, everything("a"))
    with store.transaction() as transaction:
        assert transaction.seen(["a-in", "b-in"]) == {"a-in"}
        assert transaction.load(["thing/a", "thing/b"]) == {"thing/a": StateRow(1, '{"n":1}')}
        assert transaction.due_timers(500, 10) == [Timer("thing/a", "t", 1, 500, "00-trace")]
    assert [e.entity for e in store.events("", 0, 10)] == ["thing/a", "dead-letter/a-dead"]
    assert store.entity("thing/a") == StateRow(1, '{"n":1}')
    assert store.entity("thing/b") is None


def test_an_exception_rolls_everything_back(store: Store) -> None:
    def fail_after_writing() -> None:
        with store.transaction() as transaction:
            transaction.write(everything("a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    assert_nothing_of(store, "a")


def test_a_conflict_rolls_everything_back(store: Store) -> None:
    write(store, changes(event("thing/taken", 1, topic=None)))
    both = everything("a")
    both.events.append(event("thing/taken", 1, message_id="another"))
    with pytest.raises(ConflictError):
        write(store, both)
    assert_nothing_of(store, "a")


def test_an_entity_has_each_version_once(store: Store) -> None:
    write(store, changes(event("thing/a", 1, message_id="first")))
    with pytest.raises(ConflictError):
        write(store, changes(event("thing/a", 1, message_id="second")))
    write(store, changes(event("thing/a", 2), event("thing/b", 1)))


def test_a_message_id_is_there_once(store: Store) -> None:
    write(store, changes(event("thing/a", 1, message_id="same")))
    with pytest.raises(ConflictError):
        write(store, changes(event("thing/b", 1, message_id="same")))
    with pytest.raises(ConflictError):
        write(store, changes(event("thing/c", 1, message_id="twice"), event("thing/d", 1, message_id="twice")))


def test_after_a_conflict_the_store_goes_on(store: Store) -> None:
    write(store, changes(event("thing/a", 1)))
    for _ in range(3):
        with pytest.raises(ConflictError):
            write(store, changes(event("thing/a", 1)))
    write(store, changes(event("thing/a", 2)))
    assert [e.version for e in store.events("thing/a", 0, 10)] == [1, 2]


def test_a_transaction_that_writes_nothing_changes_nothing(store: Store) -> None:
    write(store, Changes(1000))
    assert store.events("", 0, 10) == []


def test_a_state_is_replaced_by_the_next(store: Store) -> None:
    write(store, Changes(1, states={"thing/a": StateRow(1, "1"), "thing/b": StateRow(1, "1")}))
    write(store, Changes(2, states={"thing/a": StateRow(2, "2")}))
    assert store.entities("thing/") == {"thing/a": StateRow(2, "2"), "thing/b": StateRow(1, "1")}


def test_transactions_come_one_after_the_other(store: Store) -> None:
    """What a transaction has read is still so when it writes: none of 40 increments is lost."""

    def count_up() -> None:
        for _ in range(20):
            with store.transaction() as transaction:
                row = transaction.load(["thing/count"]).get("thing/count", StateRow(0, "0"))
                after = StateRow(row.version + 1, str(int(row.state) + 1))
                transaction.write(
                    Changes(1, events=[event("thing/count", after.version)], states={"thing/count": after})
                )

    threads = [threading.Thread(target=count_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.entity("thing/count") == StateRow(40, "40")
    assert [e.version for e in store.events("thing/count", 0, 100)] == list(range(1, 41))


# The inbox


def test_the_inbox_knows_what_was_seen_also_within_many(store: Store) -> None:
    write(store, Changes(1, inbox={f"id-{n}" for n in range(0, 3000, 2)}))
    with store.transaction() as transaction:
        seen = transaction.seen([f"id-{n}" for n in range(3000)])
    assert seen == {f"id-{n}" for n in range(0, 3000, 2)}


def test_an_id_may_come_to_the_inbox_again(store: Store) -> None:
    write(store, Changes(1, inbox={"a"}))
    write(store, Changes(2, inbox={"a", "b"}))
    with store.transaction() as transaction:
        assert transaction.seen(["a", "b"]) == {"a", "b"}


@pytest.mark.parametrize("odd", ["'; --", '"', "\\", "ключ", "\U0010ffff", "a\u0301", "[]", "%_", " "])
def test_an_id_of_any_characters_is_itself_and_no_other(store: Store, odd: str) -> None:
    write(store, Changes(1, inbox={odd}, states={f"thing/{odd}": StateRow(1, odd)}))
    with store.transaction() as transaction:
        assert transaction.seen([odd, odd + odd, "x"]) == {odd}
        assert transaction.load([f"thing/{odd}"]) == {f"thing/{odd}": StateRow(1, odd)}


def test_pruning_drops_what_is_older_a_limited_number_at_a_time_the_oldest_first(store: Store) -> None:
    for age in range(5):
        write(store, Changes(age, inbox={f"{age}"}))
    assert store.prune_inbox(before_us=4, limit=3) == 3
    with store.transaction() as transaction:
        assert transaction.seen(list("01234")) == {"3", "4"}
    assert store.prune_inbox(before_us=4, limit=3) == 1
    assert store.prune_inbox(before_us=4, limit=3) == 0
    with store.transaction() as transaction:
        assert transaction.seen(list("01234")) == {"4"}


# Publishing


def seqs(store: Store, keys: list[str] | None, limit: int = 100) -> list[int]:
    return [e.seq for e in store.unpublished(keys, limit)]


def test_only_public_events_are_to_be_published_the_lowest_first(store: Store) -> None:
    write(store, changes(event("thing/b", 1), event("thing/a", 1, topic=None), event("thing/a", 2)))
    assert [(e.entity, e.version) for e in store.unpublished(None, 10)] == [("thing/b", 1), ("thing/a", 2)]


def test_an_event_comes_out_as_it_went_in(store: Store) -> None:
    new = event("thing/a", 1)
    write(store, changes(new))
    (stored,) = store.unpublished(None, 10)
    assert stored[1:-1] == new
    assert stored.published_at_us is None


def test_a_transaction_marks_what_was_published_before_it_unless_it_fails(store: Store) -> None:
    write(store, changes(event("thing/a", 1), event("thing/b", 1)))
    seqs = [each.seq for each in store.unpublished(None, 10)]
    with pytest.raises(ConflictError):
        write(store, Changes(2000, events=[event("thing/a", 1, message_id="again")], published=seqs))
    assert [each.seq for each in store.unpublished(None, 10)] == seqs
    write(store, Changes(2000, events=[event("thing/c", 1)], published=seqs[:1]))
    assert [each.entity for each in store.unpublished(None, 10)] == ["thing/b", "thing/c"]


def test_what_is_marked_is_not_published_again_and_the_rest_is(store: Store) -> None:
    write(store, changes(*(event("thing/a", n) for n in range(1, 6))))
    first, second, third, *rest = seqs(store, None)
    store.mark_published([first, third], now_us=77)
    assert seqs(store, None) == [second, *rest]
    assert [e.published_at_us for e in store.events("thing/a", 0, 10)] == [77, None, 77, None, None]


def test_unpublished_events_are_found_by_key(store: Store) -> None:
    write(store, changes(*(event(f"thing/{k}", n, key=k) for n in (1, 2) for k in "abc")))
    assert [(e.key, e.version) for e in store.unpublished(["a", "c"], 10)] == [("a", 1), ("c", 1), ("a", 2), ("c", 2)]
    assert store.unpublished(["nobody"], 10) == []
    assert store.unpublished([], 10) == []


def test_the_lowest_come_first_under_a_limit(store: Store) -> None:
    write(store, changes(*(event("thing/a", n) for n in range(1, 6))))
    assert seqs(store, None, 2) == seqs(store, ["k"], 2) == seqs(store, None)[:2]


def test_a_lower_row_that_another_writer_left_is_found_too(open_store: Open) -> None:
    mine, other = open_store(), open_store()
    write(other, changes(event("thing/a", 1)))
    write(mine, changes(event("thing/a", 2)))
    assert [e.version for e in mine.unpublished(["k"], 10)] == [1, 2]


def test_seqs_grow_in_the_order_of_writing(store: Store) -> None:
    write(store, changes(event("thing/b", 1), event("thing/a", 1)))
    write(store, changes(event("thing/c", 1)))
    found = store.events("", 0, 10)
    assert [e.entity for e in found] == ["thing/b", "thing/a", "thing/c"]
    assert [e.seq for e in found] == sorted({e.seq for e in found})


def test_events_are_listed_page_by_page(store: Store) -> None:
    write(store, changes(*(event(f"thing/{k}", n) for n in (1, 2, 3) for k in "ab")))
    first = store.events("", 0, 4)
    assert [(e.entity[-1], e.version) for e in first] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert [(e.entity[-1], e.version) for e in store.events("", first[-1].seq, 4)] == [("a", 3), ("b", 3)]
    assert [e.version for e in store.events("thing/a", first[0].seq, 10)] == [2, 3]


# Timers


def timer(name: str, due_us: int, entity: str = "thing/a") -> Timer:
    return Timer(entity, name, 1, due_us, "")


def start(*timers: Timer, stopped: tuple[str, ...] = ()) -> Changes:
    running = {(t.entity, t.name): t for t in timers}
    return Changes(1, stopped={("thing/a", name) for name in stopped}, timers=running)


def due(store: Store, now_us: int, limit: int = 10) -> list[str]:
    with store.transaction() as transaction:
        return [t.name for t in transaction.due_timers(now_us, limit)]


def test_a_timer_is_due_from_its_time_on_the_longest_due_first(store: Store) -> None:
    assert store.next_timer_us() is None
    write(store, start(timer("late", 300), timer("early", 100), timer("between", 200)))
    assert due(store, 99) == []
    assert due(store, 100) == ["early"]
    assert due(store, 1000) == ["early", "between", "late"]
    assert due(store, 1000, limit=2) == ["early", "between"]
    assert store.next_timer_us() == 100


def test_starting_a_running_timer_moves_it(store: Store) -> None:
    write(store, start(timer("t", 100)))
    write(store, start(Timer("thing/a", "t", 2, 300, "00-other")))
    with store.transaction() as transaction:
        assert transaction.due_timers(1000, 10) == [Timer("thing/a", "t", 2, 300, "00-other")]


def test_a_stopped_timer_is_gone_and_no_other(store: Store) -> None:
    write(store, start(timer("t", 100), timer("u", 200), timer("t", 150, "thing/b")))
    write(store, start(stopped=("t", "never started")))
    with store.transaction() as transaction:
        assert transaction.due_timers(1000, 10) == [timer("t", 150, "thing/b"), timer("u", 200)]


def test_a_timer_that_is_stopped_and_started_at_once_runs(store: Store) -> None:
    write(store, start(timer("t", 100)))
    write(store, start(timer("t", 500), stopped=("t",)))
    assert store.next_timer_us() == 500


# Dead letters


def dead_letters(*letters: tuple[DeadLetter, NewEvent]) -> Changes:
    return Changes(1, dead_letters=list(letters))


def test_a_dead_letter_keeps_its_record_whole_and_is_told_of_on_the_topic(store: Store) -> None:
    write(store, dead_letters(letter("a")))
    assert store.dead_letter("a") == letter("a")[0]
    assert [(e.topic, e.key) for e in store.unpublished(["a"], 10)] == [("order.dlq", "a")]
    assert store.dead_letter("b") is None


def test_a_dead_letter_that_is_there_already_is_dropped_with_its_event(store: Store) -> None:
    write(store, dead_letters(letter("a", time_us=1)))
    write(store, dead_letters(letter("a", time_us=2), letter("b")))
    assert store.dead_letter("a") == letter("a", time_us=1)[0]
    assert [e.key for e in store.unpublished(None, 10)] == ["a", "b"]


def test_dead_letters_are_listed_by_id_page_by_page_and_by_status(store: Store) -> None:
    write(store, dead_letters(*map(letter, "dacb")))
    store.discard("b")
    assert [found.id for found in store.dead_letters(None, "", 10)] == list("abcd")
    assert [found.id for found in store.dead_letters(None, "a", 2)] == list("bc")
    assert [found.id for found in store.dead_letters("open", "", 10)] == list("acd")
    assert [found.id for found in store.dead_letters("discarded", "", 10)] == ["b"]
    assert store.dead_letters("replayed", "", 10) == []


def test_a_replayed_dead_letter_is_no_longer_open(store: Store) -> None:
    write(store, dead_letters(letter("a"), letter("b")))
    write(store, Changes(2, replayed=["a"]))
    assert [found.status for found in store.dead_letters(None, "", 10)] == ["replayed", "open"]


def test_only_an_open_dead_letter_is_discarded_or_replayed(store: Store) -> None:
    write(store, dead_letters(letter("replayed"), letter("discarded")))
    write(store, Changes(2, replayed=["replayed"]))
    store.discard("discarded")
    store.discard("replayed")
    store.discard("unknown")
    write(store, Changes(3, replayed=["discarded", "unknown"]))
    assert {found.id: found.status for found in store.dead_letters(None, "", 10)} == {
        "replayed": "replayed",
        "discarded": "discarded",
    }


# Reading beside the loop


ODD_NAMES = [
    "",
    "a",
    "a/b",
    "%",
    "_",
    "ä",
    "a\u0301",
    "字",
    "\uffff",
    "\U0001f600",
    "\U0010ffff",
    "\U0010ffffx",
    "'",
    "\\",
]


def test_entities_are_found_by_their_prefix_whatever_their_names_are(store: Store) -> None:
    names = {f"stock/{name}" for name in ODD_NAMES}
    others = {"stoc/x", "stock", "stock0", "Stock/a", "stockx/a", "stock-/a", "zzz"}
    write(store, Changes(1, states={name: StateRow(1, "{}") for name in names | others}))
    assert set(store.entities("stock/")) == names


def test_entities_come_by_their_names_and_page_by_page(store: Store) -> None:
    names = sorted(f"stock/{name}" for name in ODD_NAMES)
    write(store, Changes(1, states={name: StateRow(1, "{}") for name in (*names, "stoc/x", "stocl/x")}))
    assert list(store.entities("stock/")) == names
    first = list(store.entities("stock/", limit=4))
    assert first == names[:4]
    assert list(store.entities("stock/", first[-1], 4)) == names[4:8]
    assert list(store.entities("stock/", names[-1], 4)) == []


def test_states_that_are_dropped_are_gone_and_others_stay(store: Store) -> None:
    write(store, Changes(1, states={name: StateRow(1, "{}") for name in ("thing/a", "thing/b", "thing/c")}))
    with store.transaction() as transaction:
        transaction.drop_states(["thing/a", "thing/c", "thing/never"])
    assert set(store.entities("thing/")) == {"thing/b"}


def test_a_snapshot_has_events_by_entity_and_version(store: Store) -> None:
    write(store, changes(event("thing/b", 1), event("thing/a", 1), event("thing/b", 2), event("thing/a", 2)))
    with store.snapshot() as snapshot:
        found = [(e.entity, e.version) for e in snapshot.events()]
    assert found == [("thing/a", 1), ("thing/a", 2), ("thing/b", 1), ("thing/b", 2)]


def counted(n: int) -> Changes:
    return Changes(n, events=[event("thing/a", n)], states={"thing/a": StateRow(n, str(n))})


def test_a_snapshot_stays_the_same_while_another_writes(store: Store) -> None:
    write(store, counted(1))
    with store.snapshot() as snapshot:
        before = list(snapshot.events())
        writer = threading.Thread(target=lambda: [write(store, counted(n)) for n in range(2, 12)])
        writer.start()
        writer.join()
        assert list(snapshot.events()) == before
        assert list(snapshot.states()) == [("thing/a", StateRow(1, "1"))]
    with store.snapshot() as snapshot:
        assert list(snapshot.states()) == [("thing/a", StateRow(11, "11"))]


def test_states_and_events_of_a_snapshot_agree_at_every_moment_of_another_writer(store: Store) -> None:
    write(store, counted(1))
    writer = threading.Thread(target=lambda: [write(store, counted(n)) for n in range(2, 100)])
    writer.start()
    while writer.is_alive():
        with store.snapshot() as snapshot:
            (state,) = snapshot.states()
            assert state[1].version == len(list(snapshot.events()))
    writer.join()


def test_a_snapshot_that_is_not_read_to_its_end_leaves_the_store_usable(store: Store) -> None:
    write(store, changes(*(event("thing/a", n) for n in range(1, 3000))))
    with store.snapshot() as snapshot:
        next(iter(snapshot.events()))
    write(store, counted(3000))
    assert store.entity("thing/a") == StateRow(3000, "3000")


def test_reading_never_waits_for_a_transaction(store: Store) -> None:
    write(store, counted(1))
    with store.transaction() as transaction:
        transaction.write(counted(2))
        assert store.entity("thing/a") == StateRow(1, "1")
        assert [e.version for e in store.unpublished(None, 10)] == [1]
        store.ping()
    assert store.entity("thing/a") == StateRow(2, "2")


# Lasting


def test_everything_is_there_after_the_store_was_closed_and_opened_again(open_store: Open) -> None:
    store = open_store()
    write(store, everything("a"))
    store.mark_published([store.unpublished(None, 1)[0].seq], 5)
    store.close()
    again = open_store()
    with again.transaction() as transaction:
        assert transaction.seen(["a-in"]) == {"a-in"}
        assert transaction.load(["thing/a"]) == {"thing/a": StateRow(1, '{"n":1}')}
        assert len(transaction.due_timers(500, 10)) == 1
    assert again.dead_letter("a-dead") == letter("a-dead")[0]
    assert [e.entity for e in again.unpublished(None, 10)] == ["dead-letter/a-dead"]


def test_what_is_committed_is_seen_by_another_who_opens_it_and_the_rest_is_not(open_store: Open) -> None:
    store, other = open_store(), open_store()
    write(store, everything("a"))
    with store.transaction() as transaction:
        transaction.write(everything("b"))
        assert set(other.entities("thing/")) == {"thing/a"}
    assert set(other.entities("thing/")) == {"thing/a", "thing/b"}
