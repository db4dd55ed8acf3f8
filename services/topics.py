"""The one list of the services, and the one definition of Kafka topics, which follows from it.

Launcher, Compose, the manifests and the simulation are fed from here. A service never creates a topic. Domain topics
keep everything, so that a new read model can start from the beginning. Standard library only: set-up reads it too.
"""

from collections.abc import Mapping
from typing import NamedTuple

PARTITIONS = 6
"""Partitions of every order topic, which are keyed by order id."""

_KEEP_EVERYTHING = {"retention.ms": "-1", "retention.bytes": "-1"}
_DOMAIN = {**_KEEP_EVERYTHING, "max.message.bytes": "1048588"}
# A dead letter wraps a whole record with its headers and a cause: it must fit whatever a domain topic took.
_DEAD_LETTERS = {**_KEEP_EVERYTHING, "max.message.bytes": "2097152"}


class Service(NamedTuple):
    """A service that consumes, and so has a dead-letter topic.

    grpc_port: on one machine
    says:      the topic of its public events, '' if it has none
    commanded: whether the orchestrator sends it commands, in that mode
    """

    name: str
    grpc_port: int
    says: str = ""
    commanded: bool = False


SHOP = (
    Service("order", 9051, "orders"),
    Service("inventory", 9052, "inventory", commanded=True),
    Service("payment", 9053, "payment", commanded=True),
    Service("shipping", 9054, "shipping", commanded=True),
    Service("notification", 9055, "notification"),
    Service("status", 9056),
    Service("marketing", 9057),
    Service("orchestrator", 9058),
)


class Topic(NamedTuple):
    """A topic: its name, its number of partitions, and what differs from the broker's defaults."""

    name: str
    partitions: int
    config: Mapping[str, str]


def commands_topic(participant: str) -> str:
    """Where the orchestrator's commands to a participant go to, keyed by order id."""
    return f"{participant}.commands"


SERVICES = tuple(service.name for service in SHOP)
ORCHESTRATED = tuple(service.name for service in SHOP if service.commanded)
"""Who takes commands from the orchestrator in orchestrated mode. All others do the same in both modes."""
DOMAIN_TOPICS = tuple(service.says for service in SHOP if service.says)
COMMAND_TOPICS = tuple(map(commands_topic, ORCHESTRATED))
"""What the orchestrator sends. They are there in both modes: a shop may change its mode at any start."""

TOPICS: tuple[Topic, ...] = (
    *(Topic(name, PARTITIONS, _DOMAIN) for name in (*DOMAIN_TOPICS, *COMMAND_TOPICS)),
    *(Topic(f"{service}.dlq", 1, _DEAD_LETTERS) for service in SERVICES),
)
