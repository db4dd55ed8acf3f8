"""A real broker with TLS, SCRAM users and ACLs, for tests, with certificates of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka.admin import (
    AclBinding,  # pyright: ignore[reportPrivateImportUsage]
    AclOperation,  # pyright: ignore[reportPrivateImportUsage]
    AclPermissionType,  # pyright: ignore[reportPrivateImportUsage]
    ResourcePatternType,  # pyright: ignore[reportPrivateImportUsage]
    ResourceType,  # pyright: ignore[reportPrivateImportUsage]
    ScramCredentialInfo,  # pyright: ignore[reportPrivateImportUsage]
    ScramMechanism,  # pyright: ignore[reportPrivateImportUsage]
    UserScramCredentialUpsertion,  # pyright: ignore[reportPrivateImportUsage]
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sagaproof.kafka import RunningBroker
from sagaproof.kafka_admin import admin
from sagaproof.kafka_node import Broker
from sagaproof.ports import free_ports
from sagaproof.settings import state_home

HOST = "localhost"
"""What the certificate is for: a host name, as an address is never verified against one."""
ADMIN_WITHIN_S = 15
SCRAM_ITERATIONS = 4096

Acl = tuple[ResourceType, str, AclOperation]


@dataclass(frozen=True)
class _SecureBroker(Broker):
    """Beside the plain listener, on which everyone may do everything, one for users, over TLS."""

    secure_port: int

    def prepare(self) -> None:
        super().prepare()
        plain, secure = f"PLAINTEXT://{self.bootstrap_servers}", f"SECURE://127.0.0.1:{self.secure_port}"
        more = {  # what comes later in the file counts
            "listeners": f"{plain},{secure},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"{plain},SECURE://{HOST}:{self.secure_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "broker.pem"),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        with (self.folder / "server.properties").open("a") as file:
            file.writelines(f"{key}={value}\n" for key, value in more.items())


class SecureKafka:
    """Its address for users, its CA, and how users are made."""

    def __init__(self, running: RunningBroker, secure_port: int, ca_file: Path) -> None:
        self.plain = running.bootstrap_servers
        self.address = f"{HOST}:{secure_port}"
        self.ca_file = ca_file
        self._admin: Any = admin(self.plain)

    def add_user(self, name: str, password: str, acls: Iterable[Acl]) -> None:
        credentials = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
        made = UserScramCredentialUpsertion(name, credentials, password.encode())
        rules = [
            AclBinding(
                kind, resource, ResourcePatternType.LITERAL, f"User:{name}", "*", operation, AclPermissionType.ALLOW
            )
            for kind, resource, operation in acls
        ]
        asked = [*self._admin.alter_user_scram_credentials([made]).values(), *self._admin.create_acls(rules).values()]
        for future in asked:
            future.result(ADMIN_WITHIN_S)

    def environment(self, user: str, password_file: Path) -> dict[str, str]:
        """The settings of a service that comes as this user."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD_FILE": str(password_file),
            "KAFKA_SSL_CA_FILE": str(self.ca_file),
        }


@contextmanager
def secure_kafka(folder: Path) -> Generator[SecureKafka]:
    """A broker without topics and users."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    made = authority.issue_cert(HOST)
    key = load_pem_private_key(made.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # the only format that Kafka reads
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    (folder / "broker.pem").write_bytes(pem + chain)
    port, controller_port, secure_port = free_ports(3)
    running = RunningBroker(_SecureBroker(folder, state_home({}), port, controller_port, secure_port))
    try:
        running.start()
        yield SecureKafka(running, secure_port, folder / "ca.pem")
    finally:
        running.stop()
