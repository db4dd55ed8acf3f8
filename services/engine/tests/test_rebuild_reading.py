"""Reading topics from their beginning, on a real broker: exactly up to given offsets, or with the cause why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # pyright: ignore[reportPrivateImportUsage]

from sagaproof.kafka import RunningBroker, broker
from services.engine import topic_reader
from services.engine.retry import TransientError
from services.engine.topic_reader import Place, RecordsGone, TopicReader

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def admin(kafka: RunningBroker) -> Any:
    """Without types, which are not complete."""
    return AdminClient({"bootstrap.servers": kafka.bootstrap_servers})


@pytest.fixture
def topic(kafka: RunningBroker, admin: Any) -> str:
    """With two partitions of 1000 records each, whose values are their offsets."""
    name = f"numbers-{uuid4()}"
    for made in admin.create_topics([NewTopic(name, 2, 1)]).values():
        made.result(10)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for n in range(1000):
        for partition in (0, 1):
            producer.produce(name, str(n).encode(), partition=partition)
    assert producer.flush(10) == 0
    return name


@pytest.fixture
def reader(kafka: RunningBroker) -> Iterator[TopicReader]:
    opened = TopicReader({"bootstrap.servers": kafka.bootstrap_servers}, "numbers-rebuild")
    yield opened
    opened.close()


def go_on() -> None:
    pass


def read(reader: TopicReader, upto: dict[Place, int]) -> dict[int, list[int]]:
    """Partition -> the offsets that came."""
    found: dict[int, list[int]] = {0: [], 1: []}
    for records in reader.read(upto, go_on):
        for record in records:
            found[record.partition].append(record.offset)
            assert record.value == str(record.offset).encode()
    return found


def test_each_read_goes_on_where_the_last_one_ended(topic: str, reader: TopicReader) -> None:
    first, second = (topic, 0), (topic, 1)
    assert reader.behind({first: 7, second: 0}) == 7
    assert read(reader, {first: 7, second: 0}) == {0: list(range(7)), 1: []}
    assert read(reader, {first: 7, second: 0}) == {0: [], 1: []}
    assert reader.behind({first: 900, second: 900}) == 1793
    assert read(reader, {first: 900, second: 900}) == {0: list(range(7, 900)), 1: list(range(900))}
    assert read(reader, {first: 5, second: 1000}) == {0: [], 1: list(range(900, 1000))}


def test_a_reader_leaves_no_trace_in_the_broker(admin: Any, topic: str, reader: TopicReader) -> None:
    read(reader, {(topic, 0): 10})
    groups = admin.list_consumer_groups().result(10)
    assert "numbers-rebuild" not in {group.group_id for group in groups.valid}


def test_records_that_are_gone_are_not_skipped_in_silence(admin: Any, topic: str, reader: TopicReader) -> None:
    for deleted in admin.delete_records([TopicPartition(topic, 1, 3)]).values():
        deleted.result(10)
    with pytest.raises(RecordsGone, match=f"{topic}/1"):
        read(reader, {(topic, 0): 10, (topic, 1): 10})


def test_a_broker_that_falls_silent_is_a_fault_that_may_pass(
    topic: str, reader: TopicReader, kafka: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_reader, "SILENT_MAX_S", 1.0)
    batches = reader.read({(topic, 0): 1001}, go_on)
    assert next(batches)
    kafka.kill()
    with pytest.raises(TransientError, match=f"{topic}/0 behind offset .* for 1.0 s: .+"):
        list(batches)
    kafka.start()
