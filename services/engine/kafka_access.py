"""How to reach Kafka and as whom: settings from the environment, in librdkafka's words, and a check that they work.

By default plain text without a user, for a broker on loopback. With TLS the broker's certificate and its host name are
always verified.
"""

import time
from pathlib import Path
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from msgspec import Struct

CHECK_WITHIN_S = 10.0
LOOK_EVERY_S = 0.5

_CREDENTIALS = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # pyright: ignore[reportPrivateUsage]
_TLS = {KafkaError._SSL}  # pyright: ignore[reportPrivateUsage]


class AccessRefused(Exception):
    """Kafka answers and does not let us in, or we do not trust it; the message says which setting to look at."""


class KafkaSettings(Struct, frozen=True, rename="upper", kw_only=True):
    """Each field is the environment variable of the same name in upper case.

    kafka_security_protocol: with or without TLS, with or without a user
    kafka_sasl_...:          the user, for SASL_...; the password may be in a file, without its last newline
    kafka_ssl_ca_file:       the CAs (PEM) that are trusted; '' for the system's
    """

    kafka_bootstrap_servers: str
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = ""
    kafka_sasl_password_file: str = ""
    kafka_ssl_ca_file: str = ""

    def __post_init__(self) -> None:
        if self._with_user:
            if not self.kafka_sasl_username:
                raise ValueError(f"KAFKA_SECURITY_PROTOCOL {self.kafka_security_protocol} needs KAFKA_SASL_USERNAME")
            if bool(self.kafka_sasl_password) == bool(self.kafka_sasl_password_file):
                raise ValueError("one of KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE must be set")
        for path in filter(None, (self.kafka_sasl_password_file, self.kafka_ssl_ca_file)):
            if not Path(path).is_file():
                raise ValueError(f"there is no file {path}, which KAFKA_SASL_PASSWORD_FILE or KAFKA_SSL_CA_FILE names")

    @property
    def kafka(self) -> dict[str, Any]:
        """What every client of Kafka is made with."""
        made = {"bootstrap.servers": self.kafka_bootstrap_servers}
        if self.kafka_security_protocol != "PLAINTEXT":
            made["security.protocol"] = self.kafka_security_protocol
        if self._with_user:
            made["sasl.mechanism"] = self.kafka_sasl_mechanism
            made["sasl.username"] = self.kafka_sasl_username
            made["sasl.password"] = self._password
        if self.kafka_ssl_ca_file:
            made["ssl.ca.location"] = self.kafka_ssl_ca_file
        return made

    @property
    def _with_user(self) -> bool:
        return self.kafka_security_protocol.startswith("SASL")

    @property
    def _password(self) -> str:
        if self.kafka_sasl_password_file:
            return Path(self.kafka_sasl_password_file).read_text().removesuffix("\n")
        return self.kafka_sasl_password

    def check_access(self) -> None:
        """Raises AccessRefused. A broker that does not answer at all is no refusal: it may be on its way."""
        if self.kafka_security_protocol == "PLAINTEXT":
            return
        errors: list[KafkaError] = []
        config: dict[str, Any] = {**self.kafka, "error_cb": errors.append, "log_level": 0}
        client = AdminClient(config)
        deadline = time.monotonic() + CHECK_WITHIN_S
        while time.monotonic() < deadline:
            try:
                client.list_topics(timeout=LOOK_EVERY_S)
            except KafkaException:
                client.poll(0)  # hands over the errors: the exception says only that there was no answer
                for error in errors:
                    self._explain(error)
            else:
                return

    def _explain(self, error: KafkaError) -> None:
        where = f"Kafka at {self.kafka_bootstrap_servers}"
        if error.code() in _CREDENTIALS:
            raise AccessRefused(
                f"{where} does not let {self.kafka_sasl_username!r} in: look at KAFKA_SASL_USERNAME, at "
                f"KAFKA_SASL_PASSWORD or its _FILE, and at KAFKA_SASL_MECHANISM ({self.kafka_sasl_mechanism}): "
                f"{error.str()}"
            )
        if error.code() in _TLS:
            trusted = self.kafka_ssl_ca_file or "the system's CAs"
            raise AccessRefused(
                f"{where} is not trusted by {trusted}: KAFKA_SSL_CA_FILE must name the CA that has signed its "
                f"certificate, and the certificate the host that is asked for: {error.str()}"
            )
