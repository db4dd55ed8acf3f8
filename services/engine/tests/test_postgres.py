"""What only PostgreSQL has: several writers at once, a server that goes away, and news from the other replicas."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import psycopg
import pytest

from sagaproof.postgres import RunningServer, server
from services.engine import postgres
from services.engine.migrate import migrate
from services.engine.postgres import PostgresStore
from services.engine.postgres_session import LOST_AFTER_S, connect
from services.engine.retry import TransientError
from services.engine.store import Changes, ConflictError, StateRow, Timer
from services.engine.tests.process import eventually
from services.engine.tests.stores import changes, event, letter, postgres_url, write

WITHIN_S = 30.0


@pytest.fixture
def url() -> str:
    return postgres_url()


@pytest.fixture
def one(url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(url)
    yield store
    store.close()


@pytest.fixture
def other(url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(url)
    yield store
    store.close()


def test_a_message_that_another_replica_handles_meanwhile_is_handled_once(
    one: PostgresStore, other: PostgresStore
) -> None:
    def handle_late() -> None:
        with one.transaction() as transaction:
            assert transaction.read(["m"], []) == (set(), {})
            write(other, Changes(1, inbox={"m"}))
            transaction.write(Changes(2, inbox={"m"}, events=[event("thing/a", 1)]))

    with pytest.raises(ConflictError):
        handle_late()
    assert one.events("", 0, 10) == []
    with one.transaction() as transaction:
        assert transaction.read(["m"], []) == ({"m"}, {})


def test_a_message_that_another_replica_has_just_handled_is_seen_once_its_entity_is_free(
    one: PostgresStore, other: PostgresStore
) -> None:
    write(one, Changes(1, states={"thing/a": StateRow(1, "1")}))
    found: list[object] = []

    def read() -> None:
        with other.transaction() as transaction:
            found.append(transaction.read(["m"], ["thing/a"]))

    reader = threading.Thread(target=read)
    with one.transaction() as transaction:
        transaction.read(["m"], ["thing/a"])
        reader.start()
        transaction.write(Changes(2, inbox={"m"}, states={"thing/a": StateRow(2, "2")}))
    reader.join(WITHIN_S)
    assert found == [({"m"}, {"thing/a": StateRow(2, "2")})]


def test_an_entity_that_another_replica_makes_meanwhile_is_not_written_over(
    one: PostgresStore, other: PostgresStore
) -> None:
    def write_late() -> None:
        with one.transaction() as transaction:
            assert transaction.load(["thing/a"]) == {}
            write(other, Changes(1, states={"thing/a": StateRow(1, "theirs")}))
            transaction.write(Changes(2, states={"thing/a": StateRow(1, "mine")}))

    with pytest.raises(ConflictError):
        write_late()
    assert one.entity("thing/a") == StateRow(1, "theirs")


def test_a_dead_letter_is_replayed_though_the_inbox_has_its_id(one: PostgresStore) -> None:
    write(one, Changes(1, inbox={"a"}, dead_letters=[letter("a")]))
    with one.transaction() as transaction:
        assert transaction.read(["a"], []) == ({"a"}, {})
        transaction.write(Changes(2, inbox={"a"}, events=[event("thing/a", 1)], replayed=["a"]))
    assert [found.status for found in one.dead_letters(None, "", 10)] == ["replayed"]


@pytest.mark.parametrize("moved", [False, True], ids=["fired", "fired and started again"])
def test_a_timer_fires_in_one_replica_and_holds_up_no_other(
    one: PostgresStore, other: PostgresStore, moved: bool
) -> None:
    first, second = Timer("thing/a", "t", 1, 100, ""), Timer("thing/b", "t", 1, 101, "")
    write(one, Changes(1, timers={("thing/a", "t"): first, ("thing/b", "t"): second}))
    with one.transaction() as transaction:
        assert transaction.due_timers(200, 1) == [first]
        with other.transaction() as others:
            assert others.due_timers(200, 10) == [second]
            others.write(Changes(2, stopped={("thing/b", "t")}))
        again = {("thing/a", "t"): Timer("thing/a", "t", 2, 500, "")} if moved else {}
        transaction.write(Changes(2, stopped={("thing/a", "t")}, timers=again))
    assert one.next_timer_us() == (500 if moved else None)


def test_writers_that_want_the_same_entities_in_any_order_do_not_end_in_a_deadlock(
    one: PostgresStore, other: PostgresStore
) -> None:
    names = [f"thing/{n}" for n in range(20)]
    lost: list[Exception] = []

    def count_up(store: PostgresStore, entities: list[str]) -> None:
        for _ in range(30):
            try:
                with store.transaction() as transaction:
                    _, rows = transaction.read([], entities)
                    after = {entity: StateRow(row.version + 1, str(int(row.state) + 1)) for entity, row in rows.items()}
                    transaction.write(Changes(1, states=after))
            except ConflictError as error:
                lost.append(error)

    write(one, Changes(1, states={name: StateRow(0, "0") for name in names}))
    threads = [
        threading.Thread(target=count_up, args=(one, names)),
        threading.Thread(target=count_up, args=(other, names[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert lost == []
    assert set(one.entities("thing/").values()) == {StateRow(60, "60")}


def test_two_replicas_may_mark_the_same_rows_at_the_same_time(one: PostgresStore, other: PostgresStore) -> None:
    write(one, changes(*(event("thing/a", n) for n in range(1, 400))))
    seqs = [found.seq for found in one.unpublished(None, 1000)]
    threads = [
        threading.Thread(target=one.mark_published, args=(seqs, 1)),
        threading.Thread(target=other.mark_published, args=(seqs[::-1], 2)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert one.unpublished(None, 10) == []


def test_a_replica_that_stands_still_in_a_transaction_does_not_hold_up_the_others_for_ever(
    url: str, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**postgres._OPTIONS, "idle_in_transaction_session_timeout": "300ms"}  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(postgres, "_OPTIONS", options)
    paused = PostgresStore(url)
    write(other, Changes(1, states={"thing/a": StateRow(1, "1")}))

    def write_late() -> None:
        with paused.transaction() as transaction:
            transaction.load(["thing/a"])
            with other.transaction() as theirs:
                assert theirs.load(["thing/a"]) == {"thing/a": StateRow(1, "1")}
                theirs.write(Changes(2, states={"thing/a": StateRow(2, "2")}))
            transaction.write(Changes(3, states={"thing/a": StateRow(2, "late")}))

    with pytest.raises(TransientError):
        write_late()
    assert paused.entity("thing/a") == StateRow(2, "2")
    write(paused, Changes(4, states={"thing/b": StateRow(1, "on again")}))
    paused.close()


def test_text_that_postgresql_cannot_hold_does_not_end_the_loop(one: PostgresStore) -> None:
    write(one, Changes(1, inbox={"a\0b"}, states={"thing/\0": StateRow(1, "{}")}, dead_letters=[letter("\0")]))
    with one.transaction() as transaction:
        assert len(transaction.seen(["a\0b"])) == 1


def test_looking_for_unpublished_events_does_not_go_through_all_events(url: str) -> None:
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        for statement, parameters in (
            (postgres._UNPUBLISHED, [0, 10]),  # pyright: ignore[reportPrivateUsage]
            (postgres._UNPUBLISHED_OF, [["a"], 0, 10]),  # pyright: ignore[reportPrivateUsage]
        ):
            plan = connection.execute(b"EXPLAIN " + statement.prepared.sql, parameters).fetchall()
            assert any("events_unpublished" in str(step) for step in plan), plan


def test_a_rebuild_keeps_the_other_replicas_out_and_readers_in(one: PostgresStore, other: PostgresStore) -> None:
    write(one, Changes(1, states={"thing/a": StateRow(1, "1")}))
    found: list[object] = []

    def write_next() -> None:
        with other.transaction() as transaction:
            found.append(transaction.read([], ["thing/a"])[1])

    waiting = threading.Thread(target=write_next)
    with one.transaction() as transaction:
        transaction.keep_others_out()
        waiting.start()
        assert one.entity("thing/a") == other.entity("thing/a") == StateRow(1, "1")
        with one.snapshot() as snapshot:
            assert list(snapshot.states()) == [("thing/a", StateRow(1, "1"))]
        assert found == []
        transaction.write(Changes(2, states={"thing/a": StateRow(2, "right")}))
    waiting.join(WITHIN_S)
    assert found == [{"thing/a": StateRow(2, "right")}]


# A server that goes away


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has these options")
def test_a_machine_that_vanishes_without_a_word_is_missed_by_whoever_only_listens(url: str) -> None:
    """As a pod does that is deleted. Only the system can ask whether it is there, so that is told to."""
    with contextlib.closing(connect(url)) as connection, socket.socket(fileno=os.dup(connection.fileno())) as its:
        assert its.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert its.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= LOST_AFTER_S / 2
        assert its.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= LOST_AFTER_S / 2
        assert its.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == LOST_AFTER_S * 1000


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    with server(tmp_path / "postgres", fsync="off") as running:
        yield running


def test_while_the_server_is_away_there_are_faults_that_may_pass_and_then_it_goes_on(own_server: RunningServer) -> None:
    url = own_server.database("own")
    migrate(url)
    store = PostgresStore(url)
    write(store, changes(event("thing/a", 1)))
    store.ping()
    own_server.stop()
    for use in (
        lambda: write(store, changes(event("thing/a", 2))),
        lambda: store.unpublished(None, 10),
        lambda: store.mark_published([1], 1),
        lambda: store.entity("thing/a"),
        store.ping,
    ):
        with pytest.raises(TransientError):
            use()
    own_server.start()
    write(store, changes(event("thing/a", 2)))
    assert [found.version for found in store.unpublished(None, 10)] == [1, 2]
    store.ping()
    store.close()


@pytest.mark.parametrize("end", [RunningServer.stop, RunningServer.kill], ids=["stopped", "killed"])
def test_whoever_waits_for_an_answer_when_the_server_goes_away_is_told(
    own_server: RunningServer, end: Callable[[RunningServer], None]
) -> None:
    url = own_server.database("own")
    migrate(url)
    holder, waiter = PostgresStore(url), PostgresStore(url)
    write(holder, Changes(1, states={"thing/a": StateRow(1, "1")}))
    told: list[Exception] = []

    def wait_for_the_lock() -> None:
        try:
            with waiter.transaction() as transaction:
                transaction.load(["thing/a"])
        except TransientError as error:
            told.append(error)

    def hold() -> None:
        with holder.transaction() as transaction:
            transaction.load(["thing/a"])
            waiting.start()
            with psycopg.connect(own_server.spec.url, autocommit=True) as connection:
                asked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                eventually("it waits", lambda: connection.execute(asked).fetchone(), WITHIN_S)
            end(own_server)
            waiting.join(WITHIN_S)
            transaction.write(Changes(2, states={"thing/a": StateRow(2, "2")}))

    waiting = threading.Thread(target=wait_for_the_lock)
    with pytest.raises(TransientError):
        hold()
    assert len(told) == 1
    own_server.start()
    write(waiter, Changes(1, states={"thing/b": StateRow(1, "1")}))
    assert waiter.entity("thing/a") == StateRow(1, "1")
    holder.close()
    waiter.close()


def test_what_was_committed_is_there_after_the_server_was_killed(tmp_path: Path) -> None:
    with server(tmp_path / "durable") as running:
        url = running.database("own")
        migrate(url)
        store = PostgresStore(url)
        write(store, changes(event("thing/a", 1)))
        running.kill()
        running.start()
        assert [found.version for found in store.events("thing/a", 0, 10)] == [1]
        store.close()


# News from the other replicas


class Heard:
    """What a listener was told of."""

    def __init__(self) -> None:
        self.of_any = 0
        self.entities: list[str] = []

    def __call__(self, entities: Collection[str] | None) -> None:
        if entities is None:
            self.of_any += 1
        else:
            self.entities += entities


def states(*names: str) -> Changes:
    return Changes(1, states={name: StateRow(1, "{}") for name in names})


def test_a_replica_hears_what_the_others_commit_and_not_its_own(one: PostgresStore, other: PostgresStore) -> None:
    heard, theirs = Heard(), Heard()
    one.listen(heard)
    other.listen(theirs)
    eventually("both listen", lambda: heard.of_any and theirs.of_any, WITHIN_S)
    write(one, states("thing/mine"))
    write(other, states("thing/a", "thing/b"))
    write(other, states("thing/c"))
    eventually("it is heard", lambda: heard.entities == ["thing/a", "thing/b", "thing/c"], WITHIN_S)
    eventually("mine is heard", lambda: theirs.entities == ["thing/mine"], WITHIN_S)


def test_what_is_rolled_back_is_not_heard_of(one: PostgresStore, other: PostgresStore) -> None:
    heard = Heard()
    one.listen(heard)
    other.listen(Heard())
    eventually("it listens", lambda: heard.of_any, WITHIN_S)

    def fail() -> None:
        with other.transaction() as transaction:
            transaction.write(states("thing/a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    write(other, states("thing/b"))
    eventually("the next is heard", lambda: heard.entities == ["thing/b"], WITHIN_S)


def test_more_than_one_notification_holds_is_heard_of(one: PostgresStore, other: PostgresStore) -> None:
    heard = Heard()
    one.listen(heard)
    other.listen(Heard())
    eventually("it listens", lambda: heard.of_any, WITHIN_S)
    names = [f"thing/{n:03}-{'ä' * 60}" for n in range(500)]
    write(other, states(*names))
    eventually("all are heard", lambda: heard.entities == names, WITHIN_S)


def test_a_listener_that_was_cut_off_says_that_anything_may_have_changed(one: PostgresStore, url: str) -> None:
    heard = Heard()
    one.listen(heard)
    eventually("it listens", lambda: heard.of_any == 1, WITHIN_S)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN committed'")
    eventually("it listens again", lambda: heard.of_any == 2, WITHIN_S)
