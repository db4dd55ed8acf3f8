"""The one definition of Kafka topics: the launcher, Compose and Strimzi's KafkaTopics are all fed from it.

A service never creates a topic. Domain topics keep everything, so that a new read model can start from the beginning.
"""

from collections.abc import Mapping
from typing import NamedTuple

PARTITIONS = 6
"""Partitions of every order topic, which are keyed by order id."""

_KEEP_EVERYTHING = {"retention.ms": "-1", "retention.bytes": "-1"}
_DOMAIN = {**_KEEP_EVERYTHING, "max.message.bytes": "1048588"}
# A dead letter wraps a whole record with its headers and a cause: it must fit whatever a domain topic took.
_DEAD_LETTERS = {**_KEEP_EVERYTHING, "max.message.bytes": "2097152"}


class Topic(NamedTuple):
    """A topic: its name, its number of partitions, and what differs from the broker's defaults."""

    name: str
    partitions: int
    config: Mapping[str, str]


DOMAIN_TOPICS = ("orders", "inventory", "payment", "shipping", "notification")
COMMAND_TOPICS = ("inventory.commands", "payment.commands", "shipping.commands")
"""What the orchestrator sends. They are there in both modes: a shop may change its mode at any start."""
SERVICES = ("order", "inventory", "payment", "shipping", "notification", "status", "marketing", "orchestrator")
"""Every service that consumes, and so has a dead-letter topic."""

TOPICS: tuple[Topic, ...] = (
    *(Topic(name, PARTITIONS, _DOMAIN) for name in (*DOMAIN_TOPICS, *COMMAND_TOPICS)),
    *(Topic(f"{service}.dlq", 1, _DEAD_LETTERS) for service in SERVICES),
)
