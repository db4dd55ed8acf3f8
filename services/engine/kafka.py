"""Kafka, in and out, by confluent-kafka: the intake's thread fills the mailbox, the producer publishes for the loop.

In: classic protocol with static membership (a restarted instance gets its partitions back at once), range (all topics
have as many partitions, so the records of an order come to one replica, whatever their topic); offsets are stored
after the transaction and the publishing, and committed in the background a few times a second.
A confluent-kafka client serialises its calls, and a poll holds it for as long as it waits: so only one thread ever uses
each client, and the offsets that are done are handed to the intake's.
Out: idempotent, acks=all; after a failed delivery everything that was not sent is dropped, and the loop starts again.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from services.engine.mailbox import Mailbox
from services.engine.messages import Record
from services.engine.partitions import partition_of
from services.engine.retry import TransientError
from services.engine.store import StoredEvent

POLL_S = 0.5
"""How long a poll waits: it answers at once when there is data, so a long wait only saves idle work."""
POLL_MAX = 500
FETCH_WAIT_S = 0.5
UNHURRIED_S = 0.1
"""How long a record waits for one that is urgent, about."""
PATIENT_BYTES = 500_000
"""As soon as so much is there, the broker answers even one who has patience."""
BUSY_WAIT_S = 0.5
OFFSET_COMMIT_MS = 300
SESSION_TIMEOUT_MS = 6000
"""Shorter than a broker takes to come back. A member that gives itself up at the moment when the broker is back joins
anew and is then fenced by a commit of its own that was still under way; with 10 s that happened at every restart.
It joins once more then, but that takes time."""
HEARTBEAT_MS = 1000
JOIN_AGAIN_AFTER_S = 60.0
"""A member that Kafka refuses joins once more, at most so often. Either it was fenced by itself, and all is well; or
another has its name: then the two fence each other until the one that was here first is refused for a second time."""
DELIVERY_TIMEOUT_MS = 10_000
FLUSH_SLICE_S = 1.0
METADATA_WITHIN_S = 1.0
PARTITION_UA = -1
CLOSE_WITHIN_S = 5.0
RECORD_MAX_BYTES = 4_000_000
"""More than the dead-letter topics take, which take more than any domain topic does."""

log = logging.getLogger(__name__)
LIBRDKAFKA_LOG: Any = logging.getLogger("librdkafka")


def _note_error(error: KafkaError) -> None:
    log.warning("kafka", extra={"cause": error.str()})


class KafkaPublisher:
    """`services.engine.loop.Publisher` on a broker."""

    def __init__(self, kafka: Mapping[str, Any], source: str, on_progress: Callable[[], None] = lambda: None) -> None:
        self._source = source
        self._on_progress = on_progress
        self._config: dict[str, Any] = {
            **kafka,
            "client.id": source,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,  # not waited for: a flush sends at once
            "message.max.bytes": RECORD_MAX_BYTES,
            "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            "reconnect.backoff.max.ms": 1000,
            "error_cb": _note_error,
            "logger": LIBRDKAFKA_LOG,
        }
        self._producer = Producer(self._config)
        self._partitions: dict[str, int] = {}

    def publish(
        self, events: Sequence[StoredEvent], halfway: Callable[[], None] | None
    ) -> tuple[list[int], TransientError | None]:
        acknowledged: list[int] = []
        failures: list[KafkaError] = []
        half = len(events) // 2
        try:
            for n, event in enumerate(events):
                if halfway is not None and n == half:
                    self._flush(failures)
                    halfway()
                self._send(event, acknowledged, failures)
            self._flush(failures)
        except KafkaException as error:
            failures.append(error.args[0])
        if not failures:
            return acknowledged, None
        self._partitions.clear()  # a topic may be another one by now
        self._producer.purge()
        self._producer.flush(FLUSH_SLICE_S)
        if any(failure.fatal() for failure in failures):
            self._producer = Producer(self._config)
        return acknowledged, TransientError(f"the broker did not take an event: {failures[0].str()}")

    def _send(self, event: StoredEvent, acknowledged: list[int], failures: list[KafkaError]) -> None:
        def on_delivery(error: KafkaError | None, _: KafkaMessage) -> None:
            if error is None:
                acknowledged.append(event.seq)
            else:
                failures.append(error)

        headers: Any = event.headers(self._source)
        assert event.topic is not None
        while True:
            try:
                self._producer.produce(
                    event.topic,
                    event.payload,
                    event.key.encode(),
                    self._partition(event.topic, event.key),
                    headers=headers,
                    on_delivery=on_delivery,
                )
                return
            except BufferError:  # the local queue is full
                self._producer.poll(FLUSH_SLICE_S)
                self._on_progress()

    def _partition(self, topic: str, key: str) -> int:
        """Where the topic is not there the choice is left to librdkafka, which says so."""
        count = self._partitions.get(topic)
        if count is None:
            count = len(self._producer.list_topics(topic, METADATA_WITHIN_S).topics[topic].partitions)
            if not count:
                return PARTITION_UA
            self._partitions[topic] = count
        return partition_of(key, count)

    def _flush(self, failures: list[KafkaError]) -> None:
        while self._producer.flush(FLUSH_SLICE_S) and not failures:
            self._on_progress()

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(0)


class KafkaIntake:
    """Consumes for one service, on a thread of its own.

    on_assign: called when partitions came: rows that an earlier owner left unpublished may be ours to send
    patience_s: how long the broker may gather records before it answers; 0: it answers at once
    urgent: the type headers of records that the loop is woken for; others wait for one of these, some 100 ms at most.
        None: all are
    on_fatal:  called with a sentence when consuming cannot go on: another has this instance's name, for example
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        group: str,
        instance: str,
        topics: Sequence[str],
        mailbox: Mailbox,
        on_assign: Callable[[], None],
        on_fatal: Callable[[str], None],
        patience_s: float = 0.0,
        urgent: Collection[bytes | None] | None = None,
    ) -> None:
        self._topics = list(topics)
        self._mailbox = mailbox
        self._on_assign = on_assign
        self._on_fatal = on_fatal
        self._urgent = urgent
        self._hurry_at_s: float | None = None
        self._stopping = threading.Event()
        self._all_done = threading.Event()
        self._joined = threading.Event()
        self._lock = threading.Lock()
        self._handled: dict[tuple[str, int], int] = {}
        self._refused = ""
        self._refused_at_s = -JOIN_AGAIN_AFTER_S
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._config: dict[str, Any] = {
            **kafka,
            "client.id": instance,
            "group.id": group,
            "group.instance.id": instance,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": SESSION_TIMEOUT_MS,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False,
            "enable.auto.commit": True,
            "auto.commit.interval.ms": OFFSET_COMMIT_MS,
            "fetch.wait.max.ms": round(1000 * (patience_s or FETCH_WAIT_S)),
            "fetch.min.bytes": PATIENT_BYTES if patience_s else 1,
            "fetch.error.backoff.ms": 100,
            "queued.max.messages.kbytes": 16_384,
            "reconnect.backoff.max.ms": 1000,
            "error_cb": self._note_error,
            "logger": LIBRDKAFKA_LOG,
        }
        self._consumer = Consumer(self._config)

    def start(self) -> None:
        self._thread.start()

    def check_joined(self) -> None:
        """Raises TransientError until the group has given this instance its partitions for the first time."""
        if not self._joined.is_set():
            raise TransientError("not yet a member of its consumer group")

    def done(self, records: Sequence[Record]) -> None:
        """These are handled: their offsets may be committed."""
        with self._lock:
            for record in records:
                place = (record.topic, record.partition)
                self._handled[place] = max(self._handled.get(place, 0), record.offset + 1)

    def stop(self) -> None:
        """Takes no more records."""
        self._stopping.set()

    def close(self, timeout_s: float) -> None:
        """Waits until the offsets of all that is done are committed and the group knows."""
        self._stopping.set()
        self._all_done.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._consumer.subscribe(self._topics, on_assign=self._assigned)
            while not self._stopping.is_set():
                self._take()
                self._keep_up()
                if self._refused and not self._stopping.is_set():
                    self._join_again()
        except Exception as error:
            log.exception("intake ended")
            self._on_fatal(f"consuming ended: {type(error).__name__}: {error}")
        self._all_done.wait(CLOSE_WITHIN_S)
        self._keep_up()
        self._consumer.close()

    def _join_again(self) -> None:
        """As a new member. What the old one had taken may come again, and is dropped."""
        cause, self._refused = self._refused, ""
        if time.monotonic() < self._refused_at_s + JOIN_AGAIN_AFTER_S:
            self._stopping.set()
            self._on_fatal(f"Kafka refuses this instance: {cause}")
            return
        self._refused_at_s = time.monotonic()
        log.warning("joining the group again", extra={"cause": cause})
        self._consumer.close()
        self._consumer = Consumer(self._config)
        self._consumer.subscribe(self._topics, on_assign=self._assigned)

    def _keep_up(self) -> None:
        """Does what other threads have left to do for the one that may use the consumer."""
        with self._lock:
            handled, self._handled = self._handled, {}
        for (topic, partition), offset in handled.items():
            try:
                self._consumer.store_offsets(offsets=[TopicPartition(topic, partition, offset)])
            except KafkaException as error:
                # The partition was given away meanwhile; its next owner drops what is done already.
                log.info("offset not stored", extra={"topic": topic, "partition": partition, "cause": str(error)})

    def _assigned(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._joined.set()
        log.info("assigned", extra={"partitions": [f"{p.topic}/{p.partition}" for p in partitions]})
        self._on_assign()

    def _take(self) -> None:
        room = self._mailbox.wait_for_room(BUSY_WAIT_S)
        if not room:
            self._stay_away()
            return
        first = self._consumer.poll(POLL_S if self._hurry_at_s is None else UNHURRIED_S)
        messages = [] if first is None else [first, *self._consumer.consume(POLL_MAX - 1, timeout=0)]
        records = [record_of(message) for message in messages if self._is_record(message)]
        if records or self._hurry_at_s is not None:
            self._put(records)

    def _put(self, records: list[Record]) -> None:
        """Wakes the loop, unless all that waits can wait longer."""
        now_s = time.monotonic()
        if self._hurry_at_s is None:
            self._hurry_at_s = now_s + UNHURRIED_S
        urgent = now_s >= self._hurry_at_s or any(map(self._is_urgent, records))
        self._mailbox.put_records(records, urgent=urgent)
        if urgent:
            self._hurry_at_s = None

    def _is_urgent(self, record: Record) -> bool:
        return self._urgent is None or record.headers.get("ce_type") in self._urgent

    def _stay_away(self) -> None:
        """Polls without taking, so that the group keeps us, until there is room."""
        paused: list[TopicPartition] = []
        while not self._stopping.is_set() and not self._refused:
            assigned = self._consumer.assignment()
            if assigned != paused:
                self._consumer.pause(assigned)
                paused = assigned
            message = self._consumer.poll(BUSY_WAIT_S / 5)
            if message is not None and self._is_record(message):  # it was on its way when we paused
                self._mailbox.put_records([record_of(message)])
            self._keep_up()
            if self._mailbox.wait_for_room(0):
                self._consumer.resume(self._consumer.assignment())
                break

    def _is_record(self, message: KafkaMessage) -> bool:
        error = message.error()
        if error is None:
            return True
        self._note_error(error)
        return False

    def _note_error(self, error: KafkaError) -> None:
        _note_error(error)
        if error.fatal() or error.code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID):  # pyright: ignore[reportPrivateUsage]
            self._refused = error.str()


def record_of(message: KafkaMessage) -> Record:
    """A consumed message, which is no error."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None
    found: Any = message.headers()
    headers: dict[str, bytes] = dict(found or ())
    if None in headers.values():
        headers = {name: value or b"" for name, value in headers.items()}
    key: Any = message.key()
    value: Any = message.value()
    return Record(topic, partition, offset, key or b"", headers, value or b"")
