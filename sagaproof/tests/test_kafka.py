"""The broker that the launcher brings: it starts, keeps what it was given over `kill -9`, and says what is wrong."""

import os
import shutil
import time
from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from sagaproof import aot, jars, kafka_admin
from sagaproof.kafka import RunningBroker, broker
from sagaproof.kafka_admin import KafkaError, create_topics
from sagaproof.kafka_node import Broker
from sagaproof.ports import free_ports
from sagaproof.settings import state_home
from services.topics import TOPICS, Topic

pytestmark = pytest.mark.integration
ORDERS = Topic("orders", 2, {"retention.ms": "-1"})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("kafka"), topics=[ORDERS]) as started:
        yield started


def send(to: RunningBroker, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": to.bootstrap_servers, "acks": "all", "enable.idempotence": True})
    producer.produce("orders", value, partition=0)
    assert producer.flush(20) == 0


def read(at: RunningBroker, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": at.bootstrap_servers, "group.id": "t", "enable.auto.commit": False})
    consumer.assign([TopicPartition("orders", 0, 0)])
    messages: list[Message] = consumer.consume(count, timeout=20)
    consumer.close()
    return [value for message in messages if (value := message.value())]


def test_what_was_acknowledged_survives_a_kill_of_the_broker(running: RunningBroker) -> None:
    send(running, b"before")
    running.kill()
    running.start()
    send(running, b"after")
    assert read(running, 2)[-2:] == [b"before", b"after"]


def test_it_listens_on_loopback_and_below_the_ports_of_outgoing_connections(running: RunningBroker) -> None:
    listening = [
        connection.laddr
        for connection in psutil.Process(running.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 2
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert all(address.port < 32768 for address in listening)


def test_topics_are_created_once_and_as_defined(running: RunningBroker) -> None:
    created = create_topics(running.bootstrap_servers, TOPICS)
    assert set(created) == {topic.name for topic in TOPICS} - {"orders"}
    assert create_topics(running.bootstrap_servers, TOPICS) == []
    there = kafka_admin.admin(running.bootstrap_servers).list_topics(timeout=5).topics
    assert {topic.name: topic.partitions for topic in TOPICS if topic.name != "orders"}.items() <= {
        name: len(metadata.partitions) for name, metadata in there.items()
    }.items()


def test_a_formatting_that_was_cut_off_is_done_again(running: RunningBroker, tmp_path: Path) -> None:
    spec = Broker(tmp_path, running.spec.home, *free_ports(2))
    spec.prepare()
    (tmp_path / "log" / "meta.properties").unlink()
    cut_off = RunningBroker(spec)
    cut_off.start()
    cut_off.stop()


def test_each_storage_is_formatted_alike_and_has_ids_of_its_own(running: RunningBroker, tmp_path: Path) -> None:
    logs = [tmp_path / "first" / "log", tmp_path / "second" / "log"]
    for log in logs:
        Broker(log.parent, running.spec.home, *free_ports(2)).prepare()
    first, second = ((log / "meta.properties").read_text().split() for log in logs)
    assert len(set(first) & set(second)) == len({"version=1", "node.id=1"})
    assert (
        logs[0].joinpath("bootstrap.checkpoint").read_bytes() == logs[1].joinpath("bootstrap.checkpoint").read_bytes()
    )


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(running: RunningBroker, tmp_path: Path) -> None:
    taken = Broker(tmp_path, running.spec.home, running.spec.port, free_ports(1)[0])
    with pytest.raises(KafkaError, match="in use"):
        RunningBroker(taken).start()


def test_a_kafka_that_is_not_there_is_said_in_time() -> None:
    [port] = free_ports(1)
    started = time.monotonic()
    with pytest.raises(KafkaError, match=f"127.0.0.1:{port} does not answer after 1 s"):
        kafka_admin.wait_until_it_answers(f"127.0.0.1:{port}", timeout_s=1)
    assert time.monotonic() - started < 5


def test_without_its_jars_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(KafkaError, match="make run"):
        Broker(tmp_path, tmp_path, 1, 2).command()


def test_its_folder_may_have_any_name(running: RunningBroker, tmp_path: Path) -> None:
    folder = tmp_path / "Application Support, früher"
    with broker(folder, topics=[ORDERS], home=running.spec.home) as started:
        send(started, b"x")
    shutil.rmtree(folder)


def test_its_classes_are_loaded_ahead_of_time_where_set_up_could_do_that(running: RunningBroker) -> None:
    cache = aot.cache(state_home(os.environ), version(aot.JVM))
    assert cache.exists(), "set-up makes it, or leaves it empty where it cannot be made"
    mapped = {entry.path for entry in psutil.Process(running.pid).memory_maps()}
    assert (str(cache) in mapped) == (cache.stat().st_size > 0)


def test_without_a_cache_that_fits_it_starts_all_the_same(tmp_path: Path) -> None:
    home = tmp_path / "home"
    libs = jars.folder(home)
    libs.parent.mkdir(parents=True)
    libs.symlink_to(jars.folder(state_home(os.environ)))
    aot.cache(home, version(aot.JVM)).write_bytes(b"made by another JVM")
    with broker(tmp_path / "broker", home=home) as started:
        assert started.bootstrap_servers
