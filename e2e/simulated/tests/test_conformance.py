"""What the simulated broker does, the real one does: one suite on both, by the engine's own publisher and intake.

Every test has keys of its own, since the real broker's topics are not empty.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource  # pyright: ignore[reportPrivateImportUsage]

from e2e.simulated.tests.wires import SILENT_S, KafkaWire, Member, SimulatedWire, Wire
from sagaproof.kafka import RunningBroker, broker
from services.engine.messages import Record
from services.engine.store import StoredEvent
from services.topics import PARTITIONS, TOPICS

LARGE, TOO_LARGE = 900_000, 1_200_000
"""Bytes; a domain topic takes 1 MiB with its headers."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka"), topics=TOPICS) as running:
        yield running


@pytest.fixture(params=["simulated", pytest.param("kafka", marks=pytest.mark.integration)])
def wire(request: pytest.FixtureRequest) -> Wire:
    if request.param == "simulated":
        return SimulatedWire()
    running: RunningBroker = request.getfixturevalue("kafka")
    return KafkaWire(running.bootstrap_servers)


def events(keys: Sequence[str], each: int = 1, topic: str = "orders", payload: bytes = b"") -> list[StoredEvent]:
    """`each` rounds of one event for every key, numbered through."""
    return [
        StoredEvent(n, f"order/{key}", n, "shop.Happened", f"{key}-{n}", "cause", topic, key, payload, "", 1000, None)
        for n, key in enumerate(list(keys) * each, 1)
    ]


def some_keys(count: int) -> list[str]:
    return [str(uuid4()) for _ in range(count)]


def publish(wire: Wire, given: Sequence[StoredEvent]) -> None:
    acknowledged, error = wire.publisher().publish(given, None)
    assert error is None
    assert sorted(acknowledged) == [event.seq for event in given]


def of(keys: Sequence[str], records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.key.decode() in keys]


def take(member: Member, keys: Sequence[str], count: int) -> list[Record]:
    """The records of these keys, once there are `count`, whatever comes between."""
    found: list[Record] = []
    while len(found) < count:
        found += of(keys, member.take(1))
    return found


def ids(records: Sequence[Record]) -> list[str]:
    return [record.headers["ce_id"].decode() for record in records]


def test_records_of_a_key_come_once_and_in_the_order_of_publishing(wire: Wire) -> None:
    keys = some_keys(20)
    given = events(keys, each=5)
    publish(wire, given)
    member = wire.join("reader", ["orders"])
    taken = take(member, keys, len(given))
    for key in keys:
        assert ids(of([key], taken)) == [event.message_id for event in given if event.key == key]
    member.leave(taken)


def test_a_key_has_one_partition_and_offsets_there_have_no_gap(wire: Wire) -> None:
    keys = some_keys(60)
    publish(wire, events(keys, each=2))
    member = wire.join("reader", ["orders"])
    taken = take(member, keys, 120)
    partitions: dict[str, set[int]] = defaultdict(set)
    offsets: dict[int, list[int]] = defaultdict(list)
    for record in taken:
        partitions[record.key.decode()].add(record.partition)
        offsets[record.partition].append(record.offset)
    assert all(len(of_key) == 1 for of_key in partitions.values())
    assert offsets.keys() == set(range(PARTITIONS))
    assert all(found == list(range(found[0], found[0] + len(found))) for found in offsets.values())
    member.leave(taken)


def test_every_group_gets_everything_also_one_that_begins_later(wire: Wire) -> None:
    keys = some_keys(5)
    publish(wire, events(keys))
    first = wire.join("first", ["orders"])
    taken = take(first, keys, 5)
    first.leave(taken)
    later = wire.join("later", ["orders"])
    assert sorted(ids(take(later, keys, 5))) == sorted(ids(taken))
    later.leave([])


def test_what_was_handled_is_not_given_again_and_what_was_only_taken_is(wire: Wire) -> None:
    keys = some_keys(30)
    publish(wire, events(keys))
    crashed = wire.join("worker", ["orders"])
    taken = take(crashed, keys, 30)
    handled = taken[:12]
    crashed.leave(handled)
    heir = wire.join("worker", ["orders"])
    again = take(heir, keys, 18)
    assert sorted(ids(handled) + ids(again)) == sorted(event.message_id for event in events(keys))
    heir.leave(again)


def test_a_member_hears_what_is_published_after_it_has_joined(wire: Wire) -> None:
    before, after = some_keys(1), some_keys(1)
    publish(wire, events(before))
    member = wire.join("reader", ["orders"])
    taken = take(member, before, 1)
    publish(wire, events(after))
    member.leave(taken + take(member, after, 1))


def test_a_record_arrives_as_it_was_sent_however_large(wire: Wire) -> None:
    keys, payload = some_keys(1), bytes(range(256)) * (LARGE // 256)
    publish(wire, events(keys, payload=payload))
    member = wire.join("reader", ["orders"])
    (record,) = take(member, keys, 1)
    assert record.value == payload
    assert record.headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"shop.Happened",
        "ce_source": b"/sagaproof/order",
        "content-type": b"application/protobuf",
        "ce_id": f"{keys[0]}-1".encode(),
        "ce_time": b"1970-01-01T00:00:00.001000Z",
        "ce_causationid": b"cause",
    }
    member.leave([record])


def test_what_is_published_again_stands_there_again_under_the_same_id(wire: Wire) -> None:
    keys = some_keys(1)
    publish(wire, events(keys))
    publish(wire, events(keys))
    member = wire.join("reader", ["orders"])
    first, second = take(member, keys, 2)
    assert ids([first]) == ids([second])
    assert first.place != second.place
    member.leave([first, second])


def test_topics_are_read_beside_each_other_and_others_are_not_heard(wire: Wire) -> None:
    keys = some_keys(3)
    for topic in ("orders", "payment", "shipping"):
        publish(wire, events(keys, topic=topic))
    member = wire.join("reader", ["orders", "payment"])
    taken = take(member, keys, 6)
    assert {record.topic for record in taken} == {"orders", "payment"}
    member.leave(taken)


def look_until(members: Sequence[Member], keys: Sequence[str], message_ids: set[str]) -> list[list[Record]]:
    """What each member is given of these keys, until all of these ids have come."""
    found: list[list[Record]] = [[] for _ in members]
    deadline = time.monotonic() + SILENT_S
    while message_ids - {message_id for records in found for message_id in ids(records)}:
        assert time.monotonic() < deadline, f"of {len(message_ids)} records came {[len(records) for records in found]}"
        for member, records in zip(members, found, strict=True):
            records.extend(of(keys, member.look()))
    return found


def partitions(records: Sequence[Record]) -> set[int]:
    return {record.partition for record in records}


def shared_out(wire: Wire, first: Member, second: Member) -> tuple[list[list[Record]], list[str]]:
    """What each is given of one round of keys, and these keys, once both have their share of the partitions.

    Before, one may be given everything, and have lost a part of it to the other when it comes to commit.
    """
    deadline = time.monotonic() + SILENT_S
    while True:
        given = events(keys := some_keys(30))
        publish(wire, given)
        shares = look_until([first, second], keys, {event.message_id for event in given})
        if all(shares) and not partitions(shares[0]) & partitions(shares[1]):
            return shares, keys
        assert time.monotonic() < deadline, f"partitions {[sorted(partitions(share)) for share in shares]} are shared"


def test_a_member_that_joins_amid_a_batch_gets_a_share_and_what_was_not_handled_comes_again(wire: Wire) -> None:
    keys = some_keys(30)
    given = events(keys, each=2)
    publish(wire, given)
    first = wire.join("workers", ["orders"])
    taken = take(first, keys, len(given))
    handled = taken[:25]
    first.done(handled)
    second = wire.join("workers", ["orders"], 1)
    left = {event.message_id for event in given} - set(ids(handled))
    shares = look_until([first, second], keys, left)
    assert not set(ids(shares[0] + shares[1])) & set(ids(handled))
    later = some_keys(30)
    publish(wire, events(later))
    fresh = look_until([first, second], later, {event.message_id for event in events(later)})
    assert sorted(ids(fresh[0] + fresh[1])) == sorted(event.message_id for event in events(later))
    assert all(fresh)
    assert not partitions(fresh[0]) & partitions(fresh[1])
    assert partitions(fresh[0] + fresh[1]) == set(range(PARTITIONS))
    second.leave(shares[1] + fresh[1])
    first.leave(shares[0] + fresh[0])


def test_what_a_member_has_not_handled_when_it_leaves_comes_to_the_one_that_stays(wire: Wire) -> None:
    first, second = wire.join("workers", ["orders"]), wire.join("workers", ["orders"], 1)
    shares, keys = shared_out(wire, first, second)
    first.done(shares[0])
    handled, dropped = shares[1][:4], shares[1][4:]
    second.leave(handled)
    (again,) = look_until([first], keys, set(ids(dropped)))
    assert not set(ids(again)) & set(ids(handled))
    assert all(ids(of([key], again)) == ids(of([key], dropped)) for key in {r.key.decode() for r in dropped})
    first.leave(again)


def test_a_member_that_died_has_an_heir_that_is_given_all_that_it_had_not_committed(wire: Wire) -> None:
    keys = some_keys(20)
    given = events(keys, each=2)
    publish(wire, given)
    dies = wire.join("workers", ["orders"])
    taken = take(dies, keys, len(given))
    dies.done(taken[:15])
    heir = wire.join("workers", ["orders"])
    again = take(heir, keys, len(given) - 15)
    assert sorted(ids(again)) == sorted(ids(taken[15:]))
    heir.leave(again)


def test_a_record_that_is_too_large_is_refused_and_what_comes_before_it_is_not(wire: Wire) -> None:
    (small,), (large,) = events(some_keys(1)), events(some_keys(1), payload=b"x" * TOO_LARGE)
    large = large._replace(seq=2)
    acknowledged, error = wire.publisher().publish([small, large], None)
    assert error is not None
    assert acknowledged == [small.seq]
    publish(wire, [small])
    member = wire.join("reader", ["orders"])
    taken = take(member, [small.key, large.key], 2)
    assert ids(taken) == [small.message_id] * 2
    member.leave(taken)


@pytest.mark.integration
def test_the_real_broker_keeps_every_record_as_the_simulated_one_does(kafka: RunningBroker) -> None:
    admin: Any = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in TOPICS]
    for described in admin.describe_configs(resources).values():
        found = described.result()
        assert {name: found[name].value for name in ("retention.ms", "retention.bytes", "cleanup.policy")} == {
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "cleanup.policy": "delete",
        }
