"""What the harness asks of a real broker, and what it puts there by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from e2e.substrates.groups import members_with_partitions
from e2e.substrates.poison import KINDS, poison
from e2e.substrates.records import mirroring, put
from e2e.waiting import eventually
from sagaproof.kafka import broker
from services.topics import TOPICS

pytestmark = pytest.mark.integration

WITHIN_S = 40.0


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("kafka"), topics=TOPICS) as running:
        yield running.bootstrap_servers


def test_who_has_partitions_is_known_while_members_come_and_go(kafka: str) -> None:
    def member() -> Consumer:
        consumer = Consumer({"bootstrap.servers": kafka, "group.id": "pairs", "session.timeout.ms": 6000})
        consumer.subscribe(["payment"])
        return consumer

    members = [member(), member()]

    def are(count: int) -> bool:
        for each in members:
            each.poll(0.05)
        return members_with_partitions(kafka, "pairs") == count

    eventually("both have some", lambda: are(2), WITHIN_S)
    members.pop().close()
    eventually("one has all", lambda: are(1), WITHIN_S)
    members.pop().close()


def test_a_mirror_copies_once_what_is_said_while_it_is_there(kafka: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})

    def say(message_id: str) -> None:
        producer.produce("shipping", b"value", b"key", headers={"ce_id": message_id.encode()})
        assert producer.flush(WITHIN_S) == 0

    say("before")
    with mirroring(kafka):
        say("inside")
    assert said(kafka, "shipping") == [f"[('ce_id', b'{each}')]" for each in ("before", "inside", "inside")]


def test_every_kind_of_poison_can_be_put_on_a_topic_and_its_place_is_told(kafka: str) -> None:
    places = {put(kafka, poison(kind, "shop.order.v1.OrderCreated", "key", "id", 1)) for kind in KINDS}
    assert len(places) == len(KINDS)
    assert len({partition for partition, _ in places}) == 1


def said(kafka: str, topic: str) -> list[str]:
    """The headers of all records of a topic, whose key is always the same."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "reader"})
    partitions = consumer.list_topics(topic, timeout=WITHIN_S).topics[topic].partitions
    found: list[str] = []
    for place in (TopicPartition(topic, partition, 0) for partition in partitions):
        _, end = consumer.get_watermark_offsets(place, timeout=WITHIN_S)
        consumer.assign([place])
        found += [str(message.headers()) for message in (consumer.consume(end, timeout=WITHIN_S) if end else ())]
    consumer.close()
    return found
