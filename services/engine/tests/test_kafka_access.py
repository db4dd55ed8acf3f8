"""Kafka over TLS, as a SCRAM user with ACLs: a service works; what is refused is said, with the setting to look at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import trustme
from confluent_kafka.admin import AclOperation, ResourceType  # pyright: ignore[reportPrivateImportUsage]

from services.engine.kafka_access import KafkaSettings
from services.engine.observer import KafkaObserver
from services.engine.settings import read
from services.engine.tests.process import ServiceProcess, eventually
from services.engine.tests.secure import SecureKafka, secure_kafka
from services.engine.tests.test_service import order_created, published, reservation
from services.topics import TOPICS

INVENTORY = "inventory-service"
MAKER = "maker-of-topics"
PASSWORD = "correct horse; battery=staple"  # noqa: S105 of a broker that lives for a test
READ, WRITE = AclOperation.READ, AclOperation.WRITE
MAKES_TOPICS = [
    (ResourceType.TOPIC, "*", AclOperation.CREATE),
    (ResourceType.TOPIC, "*", AclOperation.DESCRIBE),
]
INVENTORY_MAY = [
    *((ResourceType.TOPIC, topic, READ) for topic in ("orders", "payment", "shipping")),
    *((ResourceType.TOPIC, topic, WRITE) for topic in ("inventory", "inventory.dlq")),
    (ResourceType.GROUP, "inventory", READ),
]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory, password_file: Path) -> Iterator[SecureKafka]:
    """With all topics, which a user who may do nothing else has made."""
    with secure_kafka(tmp_path_factory.mktemp("kafka")) as running:
        running.add_user(MAKER, PASSWORD, MAKES_TOPICS)
        running.add_user(INVENTORY, PASSWORD, INVENTORY_MAY)
        done = make_topics(running.environment(MAKER, password_file))
        assert done.stdout == f"{len(TOPICS)} topics, of which {len(TOPICS)} are new\n", done.stderr
        yield running


def make_topics(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sagaproof.topics"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def settings(kafka: SecureKafka, password_file: Path, **other: str) -> KafkaSettings:
    return read(KafkaSettings, kafka.environment(INVENTORY, password_file) | other)


def test_a_service_consumes_and_publishes_over_tls_as_a_scram_user(
    kafka: SecureKafka, password_file: Path, tmp_path: Path
) -> None:
    service = ServiceProcess(tmp_path, "", **kafka.environment(INVENTORY, password_file))
    service.start()
    order_id = str(uuid4())
    order_created(kafka.plain, order_id)
    eventually("the order is reserved", lambda: reservation(service, order_id))
    assert order_id in {order for _, order in published(kafka.plain, 1)}
    assert service.terminate()[0] == 0
    service.close()


def test_a_user_sees_only_what_its_acls_allow(kafka: SecureKafka, password_file: Path) -> None:
    given = settings(kafka, password_file)
    given.check_access()
    asked = [topic.name for topic in TOPICS]
    seen = {position.topic for position in KafkaObserver(given.kafka, "inventory", asked).positions(10)}
    assert seen == {name for kind, name, _ in INVENTORY_MAY if kind is ResourceType.TOPIC}


@pytest.mark.parametrize(
    ("wrong", "look_at"),
    [
        ("password", "KAFKA_SASL_PASSWORD"),
        ("user", "does not let 'nobody' in: look at KAFKA_SASL_USERNAME"),
        ("ca", "KAFKA_SSL_CA_FILE must name the CA"),
    ],
)
def test_a_service_that_is_refused_ends_with_one_line_that_says_what_to_look_at(
    kafka: SecureKafka, password_file: Path, tmp_path: Path, wrong: str, look_at: str
) -> None:
    environment = kafka.environment(INVENTORY, password_file)
    if wrong == "password":
        (tmp_path / "password").write_text("guessed")
        environment["KAFKA_SASL_PASSWORD_FILE"] = str(tmp_path / "password")
    elif wrong == "user":
        environment["KAFKA_SASL_USERNAME"] = "nobody"
    else:
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
        environment["KAFKA_SSL_CA_FILE"] = str(tmp_path / "ca.pem")
    service = ServiceProcess(tmp_path, "", **environment)
    service.launch()
    eventually("it ends", lambda: service.exit_code() is not None, 30)
    assert service.exit_code() == 1
    said = [line for line in service.log.read_text().splitlines() if not line.startswith("{")]
    assert len(said) == 1
    assert look_at in said[0]
    assert kafka.address in said[0]
    assert "guessed" not in service.log.read_text()


def test_topics_are_refused_in_one_line_too(kafka: SecureKafka, password_file: Path) -> None:
    refused = make_topics(kafka.environment("nobody", password_file))
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "KAFKA_SASL_USERNAME" in refused.stderr


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "needs KAFKA_SASL_USERNAME"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "u"}, "one of KAFKA_SASL_PASSWORD and"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": "/not/there"}, "there is no file /not/there"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_asked(given: dict[str, str], problem: str) -> None:
    with pytest.raises(SystemExit, match=problem):
        read(KafkaSettings, {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", **given})
