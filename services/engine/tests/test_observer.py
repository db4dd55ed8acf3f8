"""What is asked of a real broker beside consuming, before and after it was away."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from sagaproof.kafka import broker
from services.engine.observer import KafkaObserver
from services.engine.retry import TransientError
from services.engine.tests.process import eventually
from services.topics import TOPICS

RECORDS = 100
TIMES = 2
WITHIN_S = 20.0
ASKED_WITHIN_S = 2.0

pytestmark = pytest.mark.integration


def test_how_far_a_group_is_behind_is_known_again_each_time_that_the_broker_was_away(tmp_path: Path) -> None:
    topic = TOPICS[0].name
    with broker(tmp_path / "kafka", topics=TOPICS) as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
        for n in range(RECORDS):
            producer.produce(topic, key=str(n), value=b"x")
        producer.flush()
        observer = KafkaObserver({"bootstrap.servers": kafka.bootstrap_servers}, "behind", [topic])

        def behind() -> int:
            try:
                return sum(found.end - found.offset for found in observer.positions(ASKED_WITHIN_S))
            except TransientError:
                return 0

        eventually("all records are before it", lambda: behind() == RECORDS, WITHIN_S)
        for _ in range(TIMES):
            kafka.kill()
            with pytest.raises(TransientError):
                observer.positions(ASKED_WITHIN_S)
            kafka.start()
            eventually("they are again", lambda: behind() == RECORDS, WITHIN_S)
