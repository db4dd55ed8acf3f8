"""The step before the services start, where the launcher does not start them: makes the topics that are missing.

What there is to be: services/topics.py. Which Kafka, and as whom: the settings of services/engine/kafka_access.py.
"""

from __future__ import annotations

import sys

from sagaproof import kafka_admin
from services.engine import settings
from services.engine.kafka_access import AccessRefused, KafkaSettings
from services.topics import TOPICS


def main() -> int:
    """Waits for a broker. Gives the exit code; a failure is one line on stderr."""
    given = settings.read(KafkaSettings)
    where, security = given.kafka_bootstrap_servers, given.kafka
    try:
        given.check_access()
        kafka_admin.wait_until_it_answers(where, security=security)
        created = kafka_admin.create_topics(where, TOPICS, security=security)
    except (AccessRefused, kafka_admin.KafkaError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(TOPICS)} topics, of which {len(created)} are new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
