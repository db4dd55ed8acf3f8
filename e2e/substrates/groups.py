"""Who of a consumer group has partitions, by the broker."""

from __future__ import annotations

from typing import Any

from confluent_kafka import ConsumerGroupState, KafkaException  # pyright: ignore[reportPrivateImportUsage]
from confluent_kafka.admin import AdminClient  # pyright: ignore[reportPrivateImportUsage]

ANSWERS_WITHIN_S = 5.0


def members_with_partitions(bootstrap_servers: str, group: str) -> int:
    """How many they are; 0 while partitions are being handed over, or while nobody can say it."""
    admin: Any = AdminClient({"bootstrap.servers": bootstrap_servers})
    try:
        found = admin.describe_consumer_groups([group], request_timeout=ANSWERS_WITHIN_S)[group].result()
    except KafkaException:  # the group has no coordinator at the moment
        return 0
    if found.state != ConsumerGroupState.STABLE:
        return 0
    return sum(bool(member.assignment.topic_partitions) for member in found.members)
