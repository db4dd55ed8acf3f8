"""What KafkaUsers may do is what their services need, and no more: on a real broker with TLS, SCRAM and ACLs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AclOperation, ResourceType  # pyright: ignore[reportPrivateImportUsage]
from shop.admin.v1 import service_pb2 as admin

from e2e.reading import published
from k8s.generate import OPERATOR, consumed
from k8s.rendering import rendered
from services.engine.kafka_access import KafkaSettings
from services.engine.settings import read
from services.engine.tests.process import ServiceProcess, eventually
from services.engine.tests.secure import SecureKafka, secure_kafka
from services.saga import path_of
from services.topics import SERVICES, TOPICS

PASSWORD = "of every user of this broker"  # noqa: S105 which lives for a test
PUBLISHED_WITHIN_S = 10

pytestmark = pytest.mark.integration

Acl = tuple[ResourceType, str, AclOperation]


def users() -> dict[str, list[Acl]]:
    """As the manifests of EKS have them."""
    return {
        each["metadata"]["name"]: [
            (ResourceType[acl["resource"]["type"].upper()], acl["resource"]["name"], AclOperation[operation.upper()])
            for acl in each["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        ]
        for each in rendered("eks")
        if each["kind"] == "KafkaUser"
    }


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(PASSWORD)
    return path


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    from sagaproof.kafka_admin import create_topics  # noqa: PLC0415

    with secure_kafka(tmp_path_factory.mktemp("kafka")) as running:
        create_topics(running.plain, TOPICS)
        for name, acls in users().items():
            running.add_user(name, PASSWORD, acls)
        yield running


def test_there_is_a_user_for_each_service_and_one_for_operators() -> None:
    assert sorted(users()) == sorted([*SERVICES, OPERATOR])


def test_an_operator_reads_every_topic_and_writes_to_none(kafka: SecureKafka, password_file: Path) -> None:
    settings = read(KafkaSettings, kafka.environment(OPERATOR, password_file))
    names = [topic.name for topic in TOPICS]
    producer = Producer({"bootstrap.servers": kafka.plain})
    for name in names:
        producer.produce(name, b"of nobody")
    assert producer.flush(PUBLISHED_WITHIN_S) == 0
    assert {record.topic for record in published(settings.kafka, names)} == set(names)
    refusals: list[int] = []
    refused = Producer(settings.kafka)
    refused.produce(names[0], b"of nobody", on_delivery=lambda error, _: refusals.append(error.code() if error else 0))
    refused.flush(PUBLISHED_WITHIN_S)
    assert refusals == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_all_its_topics(
    kafka: SecureKafka, password_file: Path, tmp_path: Path, service: str
) -> None:
    mode = "orchestrated" if service == "orchestrator" else "choreographed"
    given = kafka.environment(service, password_file)
    process = ServiceProcess(tmp_path, "", service, **given, SAGA_MODE=mode)
    process.start()
    topics = consumed(service) if service in {"orchestrator", "status", "marketing"} else path_of(service, mode).topics

    def assigned() -> set[str]:
        info = process.admin.GetInfo(admin.GetInfoRequest(), timeout=5, wait_for_ready=True)
        return {position.topic for position in info.positions}

    eventually(f"it has {topics}", lambda: assigned() == set(topics))
    process.close()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_write_to_its_own_topics_alone(kafka: SecureKafka, password_file: Path, service: str) -> None:
    settings = read(KafkaSettings, kafka.environment(service, password_file))
    may = {name for kind, name, operation in users()[service] if (kind.name, operation.name) == ("TOPIC", "WRITE")}
    refusals: dict[str, KafkaError | None] = {}

    producer = Producer({**settings.kafka, "enable.idempotence": True})
    for topic in [each.name for each in TOPICS]:

        def answered(error: KafkaError | None, _: Any, topic: str = topic) -> None:
            refusals[topic] = error

        try:
            producer.produce(topic, b"not of a saga", on_delivery=answered)
        except KafkaException as error:
            refusals[topic] = error.args[0]
    producer.flush(PUBLISHED_WITHIN_S)
    taken = {topic for topic, error in refusals.items() if error is None}
    assert taken == may
    assert len(refusals) == len(TOPICS)
