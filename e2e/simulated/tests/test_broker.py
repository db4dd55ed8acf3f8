"""The broker in memory: what is kept in order, who gets what, and what a member that comes back gets again."""

import random

from e2e.simulated.broker import Broker, BrokerPublisher, Member
from services.engine.messages import Record
from services.engine.store import StoredEvent

HEADERS = {"ce_id": b"1"}
ALL = 1000


def filled(keys: int = 20, each: int = 5) -> Broker:
    broker = Broker()
    for n in range(each):
        for key in range(keys):
            broker.append("orders", f"{key}".encode(), HEADERS, f"{n}".encode())
    return broker


def take_all(group: Member, seed: int = 1) -> list[Record]:
    choose = random.Random(seed)
    taken: list[Record] = []
    while group.unread:
        taken += group.take(choose, 7)
    return taken


def places(records: list[Record]) -> list[str]:
    return [record.place for record in records]


def test_records_of_a_key_are_read_in_the_order_of_writing_and_each_once() -> None:
    taken = take_all(filled().group(["orders"]))
    assert len(taken) == len(set(places(taken))) == 100
    for key in range(20):
        assert [record.value for record in taken if record.key == f"{key}".encode()] == [b"0", b"1", b"2", b"3", b"4"]


def test_keys_are_in_all_partitions_and_partitions_come_in_any_order() -> None:
    broker = filled()
    orders = [[record.partition for record in take_all(broker.group(["orders"]), seed)] for seed in range(5)]
    assert set(orders[0]) == set(range(6))
    assert len({tuple(order) for order in orders}) == 5


def test_a_group_hears_of_its_topics_alone_also_of_what_comes_later() -> None:
    broker = Broker()
    group, other = broker.group(["orders"]), broker.group(["payment"])
    broker.append("orders", b"a", HEADERS, b"first")
    assert [record.value for record in take_all(group)] == [b"first"]
    broker.append("orders", b"a", HEADERS, b"second")
    assert [record.value for record in take_all(group)] == [b"second"]
    assert take_all(other) == []


def test_a_new_member_goes_on_behind_what_was_committed_and_not_behind_what_was_only_handled() -> None:
    group = filled().group(["orders"])
    choose = random.Random(1)
    first = group.take(choose, 30)
    group.done(first)
    assert group.uncommitted
    group.commit()
    group.done(group.take(choose, 30))
    group.rejoin()
    assert not group.uncommitted
    rest = take_all(group)
    assert sorted(places(first + rest)) == sorted(set(places(first + rest)))
    assert len(first) + len(rest) == 100


def test_whoever_goes_back_gets_the_last_records_of_each_partition_again() -> None:
    group = filled().group(["orders"])
    taken = take_all(group)
    group.done(taken)
    group.commit()
    group.go_back(2)
    again = take_all(group)
    assert len(again) == 12
    for partition in range(6):
        of_it = [record.place for record in taken if record.partition == partition]
        assert [record.place for record in again if record.partition == partition] == of_it[-2:]
    group.go_back(ALL)
    assert len(take_all(group)) == 100


def event(seq: int) -> StoredEvent:
    return StoredEvent(seq, "order/a", seq, "shop.Happened", f"id-{seq}", "cause", "orders", "a", b"x", "", 1000, None)


def test_a_publishing_that_fails_says_which_events_were_taken_for_sure() -> None:
    broker = Broker()
    publisher = BrokerPublisher(broker, "order", {2: (2, 1)})
    events = [event(1), event(2), event(3)]
    assert publisher.publish(events, None) == ([1, 2, 3], None)
    acknowledged, error = publisher.publish(events, None)
    assert acknowledged == [1]
    assert error is not None
    (log,) = [log for log in broker.logs.values() if log]
    assert [record.headers["ce_id"] for record in log] == [b"id-1", b"id-2", b"id-3", b"id-1", b"id-2"]
    assert publisher.publish(events, None) == ([1, 2, 3], None)


def test_halfway_the_first_half_is_there_and_the_rest_is_not() -> None:
    broker = Broker()
    seen: list[int] = []
    publisher = BrokerPublisher(broker, "order", {})
    publisher.publish([event(n) for n in (1, 2, 3, 4)], lambda: seen.append(sum(map(len, broker.logs.values()))))
    assert seen == [2]
