"""Any Kafka, by its address: does it answer, and has it the topics of services/topics.py?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import Any, Protocol, cast

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

START_S = 60
"""How long a broker may take to answer: 2 to 3 s on an idle machine, up to 10 s after `kill -9` on a busy one."""

PLAIN: Mapping[str, Any] = MappingProxyType({})
"""No TLS and no user; else what services/engine/kafka_access.py makes of the environment."""


class KafkaError(RuntimeError):
    """Kafka cannot be used; the message says why and what to do."""


class TopicSpec(Protocol):
    """What a topic is to be: see services/topics.py, the one definition."""

    @property
    def name(self) -> str: ...
    @property
    def partitions(self) -> int: ...
    @property
    def config(self) -> Mapping[str, str]: ...


def admin(bootstrap_servers: str, security: Mapping[str, Any] = PLAIN) -> AdminClient:
    """A client that finds out quickly, and without lines on stderr, whether Kafka answers."""
    return AdminClient(
        {
            **security,
            "bootstrap.servers": bootstrap_servers,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 200,
            "socket.connection.setup.timeout.ms": 5000,
            "log_level": 0,
        }
    )


def answers(client: AdminClient, cluster_id: str | None = None) -> bool:
    """Whether a broker answers within a quarter of a second (one of that cluster, if it is given)."""
    try:
        metadata = client.list_topics(timeout=0.25)
    except KafkaException:
        return False
    return bool(metadata.brokers) and cluster_id in (None, metadata.cluster_id)


def wait_until_it_answers(
    bootstrap_servers: str,
    *,
    timeout_s: float = START_S,
    cluster_id: str | None = None,
    alive: Callable[[], bool] = lambda: True,
    security: Mapping[str, Any] = PLAIN,
) -> None:
    """Return once a broker answers. Raises KafkaError at the deadline, or as soon as `alive` says no."""
    client = admin(bootstrap_servers, security)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not alive():
            raise KafkaError(f"Kafka at {bootstrap_servers} ended before it answered")
        if answers(client, cluster_id):
            return
    raise KafkaError(f"Kafka at {bootstrap_servers} does not answer after {timeout_s:.0f} s")


def create_topics(
    bootstrap_servers: str,
    topics: Iterable[TopicSpec],
    *,
    timeout_s: float = 30,
    security: Mapping[str, Any] = PLAIN,
) -> list[str]:
    """Create those that are missing, and wait until all have leaders. Gives the created names. Raises KafkaError."""
    wanted = list(topics)
    client = admin(bootstrap_servers, security)
    deadline = time.monotonic() + timeout_s
    try:
        there = client.list_topics(timeout=timeout_s).topics
        new = [NewTopic(t.name, t.partitions, config=dict(t.config)) for t in wanted if t.name not in there]
        created = list[str]()
        for name, future in _asked(client, new, timeout_s).items():
            try:
                future.result()
                created.append(name)
            except KafkaException as error:
                if error.args[0].code() != ClientError.TOPIC_ALREADY_EXISTS:
                    raise
        while not _all_have_leaders(client, [topic.name for topic in wanted], timeout_s):
            if time.monotonic() > deadline:
                raise KafkaError(f"topics at {bootstrap_servers} have no leaders after {timeout_s:.0f} s")
            time.sleep(0.02)
    except KafkaException as error:
        raise KafkaError(f"topics could not be created at {bootstrap_servers}: {error.args[0].str()}") from error
    return created


def _asked(client: AdminClient, new: list[NewTopic], timeout_s: float) -> dict[str, Future[None]]:
    if not new:
        return {}
    asked = client.create_topics(new, request_timeout=timeout_s)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("dict[str, Future[None]]", asked)


def _all_have_leaders(client: AdminClient, names: Iterable[str], timeout_s: float) -> bool:
    there = client.list_topics(timeout=timeout_s).topics
    return all(
        name in there and there[name].partitions and all(p.leader >= 0 for p in there[name].partitions.values())
        for name in names
    )
