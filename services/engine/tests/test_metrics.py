"""Metrics as Prometheus reads them: the loop's own histogram, and what is asked for at a scrape."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.engine import metrics
from services.engine.mailbox import Mailbox
from services.engine.messages import Record
from services.engine.observer import KafkaObserver
from services.engine.scrape import AtScrape
from services.engine.sqlite import SqliteStore
from services.engine.store import Changes, NewEvent
from services.engine.tests.lives import Life, Place
from services.engine.tests.toy import COUNTED, SAID, said, several


def scrape(registry: CollectorRegistry = REGISTRY) -> dict[tuple[str, ...], float]:
    """(name, values of the labels in their order by name) -> value, of what Prometheus would get."""
    families: Any = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (s.name, *(value for _, value in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def test_the_loops_histogram_is_one_to_prometheus() -> None:
    registry = CollectorRegistry()
    histogram = metrics.LoopHistogram("t_seconds", "A test.", "phase", ["load", "write"], (0.1, 1), registry)
    for seconds in (0.05, 0.1, 0.5, 7):
        histogram.children["load"].observe(seconds)
    samples = scrape(registry)
    assert [samples["t_seconds_bucket", bound, "load"] for bound in ("0.1", "1.0", "+Inf")] == [2, 3, 4]
    assert samples["t_seconds_count", "load"] == 4
    assert samples["t_seconds_sum", "load"] == pytest.approx(7.65)
    assert samples["t_seconds_count", "write"] == 0


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    place = Place(tmp_path / "toy.db")
    yield place.live()
    place.end()


def test_a_cycle_is_counted_and_timed_by_phase(life: Life) -> None:
    before = scrape()
    poison = Record("said", 0, 9, b"", {}, b"")
    life.engine.cycle([*several("a add", "a both", "b nothing"), said("a add"), poison], [])
    life.engine.mark()
    after = scrape()

    def more(*sample: str) -> float:
        return after.get(sample, 0) - before.get(sample, 0)

    assert more("sagaproof_messages_handled_total", SAID) == 4
    assert more("sagaproof_messages_duplicate_total") == 1
    assert more("sagaproof_dead_letters_total") == 1
    assert more("sagaproof_events_stored_total", COUNTED) == 2
    assert more("sagaproof_events_published_total") == 3, "with the dead letter's"
    assert more("sagaproof_batch_messages_count") == 1
    for phase in ("wait", "prepare", "begin", "load", "decide", "write", "commit", "answer", "publish", "mark"):
        assert more("sagaproof_loop_phase_seconds_count", phase) == 1, phase


def test_an_outbox_and_open_dead_letters_are_measured_and_lag_is_left_out_where_no_broker_answers(life: Life) -> None:
    registry = CollectorRegistry()
    nobody = KafkaObserver({"bootstrap.servers": "127.0.0.1:1"}, "toy", ["said"])
    mailbox = Mailbox()
    AtScrape("toy", nobody, life.store, mailbox, registry=registry)
    life.engine.cycle([Record("said", 0, 9, b"", {}, b"")], [])
    life.engine.mark()
    _store(life.store, "a", time_us=1_700_000_000_000_000)
    mailbox.put_records([said("a add")])
    samples = scrape(registry)
    assert samples["sagaproof_outbox_events",] == 1
    assert samples["sagaproof_outbox_oldest_seconds",] > 1_000_000
    assert samples["sagaproof_dead_letters_open",] == 1
    assert samples["sagaproof_mailbox_waiting", "records"] == 1
    assert samples["sagaproof_paused",] == 0
    assert not any(name == "sagaproof_consumer_lag_records" for name, *_ in samples)
    assert scrape()["sagaproof_scrape_failures_total", "positions"] >= 1


def test_scrapes_in_a_row_ask_once(life: Life) -> None:
    registry = CollectorRegistry()
    AtScrape(
        "toy",
        KafkaObserver({"bootstrap.servers": "127.0.0.1:1"}, "toy", ["said"]),
        life.store,
        Mailbox(),
        registry=registry,
    )
    assert scrape(registry)["sagaproof_outbox_events",] == 0
    _store(life.store, "a", time_us=1)
    assert scrape(registry)["sagaproof_outbox_events",] == 0, "as it was some seconds ago"


def _store(store: Any, key: str, time_us: int) -> None:
    assert isinstance(store, SqliteStore)
    event = NewEvent(f"counter/{key}", 1, COUNTED, f"id-{key}", "c", "counted", key, b"", "", time_us)
    with store.transaction() as transaction:
        transaction.write(Changes(time_us, events=[event]))
