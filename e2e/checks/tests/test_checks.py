"""A right history has no violation; each way to make it wrong is caught, by its check, at its order and its hop."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace
from shop.common.v1.common_pb2 import Order
from shop.payment.v1.commands_pb2 import ChargePayment

from e2e.checks import CHECKS, check
from e2e.checks.tests.anomalies import ANOMALIES, Anomaly, stands_still
from e2e.checks.tests.planting import altered, dead_lettered, is_it, never_said, poisoned, said
from e2e.checks.tests.shop import COMPLETED, DEADLINE_US, NO_FUNDS, right_history
from e2e.history import DealtWith, FaultSpan, Poisoned, Published


def test_a_right_history_has_no_violation() -> None:
    assert check(right_history()) == []


@pytest.mark.parametrize("anomaly", ANOMALIES, ids=str)
def test_an_anomaly_is_caught_by_its_check_at_its_order_and_hop(anomaly: Anomaly) -> None:
    history = right_history()
    anomaly.plant(history)

    found = check(history, [anomaly.check])

    assert found, "nothing was found"
    first = found[0]
    expected = anomaly.check, anomaly.order_id, anomaly.hop, anomaly.service
    assert (first.check, first.order_id, first.hop, first.service) == expected, str(first)


def test_every_check_has_failed_in_two_ways_or_more() -> None:
    ways = Counter(anomaly.check for anomaly in ANOMALIES)

    assert ways.keys() == set(CHECKS)
    assert min(ways.values()) >= 2


def test_the_records_of_a_poisoned_topic_are_no_violation_where_they_are_dead_letters() -> None:
    history = right_history()
    orders = sum(record.topic == "orders" for record in history.published)
    poisoned(COMPLETED, "inventory", "status")(history)
    for service in ("inventory", "status"):
        dead_lettered(service, orders, COMPLETED)(history)

    assert check(history) == []


def test_time_under_a_fault_is_not_counted() -> None:
    history = right_history()
    late_us = history.ended_us + DEADLINE_US + 20_000_000
    altered("OrderCompleted", COMPLETED, time_us=late_us)(history)
    history.faults = [
        FaultSpan("kill", "order", history.ended_us, history.ended_us + 30_000_000),
        FaultSpan("stop", "kafka", history.ended_us + 20_000_000, history.ended_us + 40_000_000),
    ]

    assert check(history) == []


def test_a_record_that_stands_twice_is_one_event() -> None:
    history = right_history()
    for record in list(history.published):
        last = sum(r.topic == record.topic for r in history.published)
        history.published.append(replace(record, offset=last))

    assert check(history) == []


def test_what_a_poisoned_record_should_have_led_to_may_be_missing() -> None:
    """The payment's record is garbage: nothing ships, and until a replay the order does not end."""
    history = right_history()
    stands_still(history)
    record = next(r for r in right_history().published if is_it(r, "PaymentCompleted", COMPLETED))
    row = next(r for r in right_history().stored if is_it(r, "PaymentCompleted", COMPLETED))
    history.stored.append(row)
    history.published.append(replace(record, payload=b"\xff"))
    history.poisoned.append(_poison_at(record))

    assert check(history, ["ends-once", "published"]) == []


def _poison_at(record: Published) -> Poisoned:
    return Poisoned(record.topic, record.partition, record.offset, ["shipping"])


def test_orchestrated_the_first_missing_hop_is_the_orchestrators_if_it_has_sent_no_command() -> None:
    history = right_history()
    stands_still(history)
    history.mode = "orchestrated"

    assert check(history, ["ends-once"])[0].hop == "orchestrator: InventoryConfirmed -> ChargePayment"

    said("orchestrator", f"saga/{COMPLETED}", ChargePayment(order=Order(order_id=COMPLETED)))(history)

    assert check(history, ["ends-once"])[0].hop == "payment: InventoryConfirmed -> PaymentCompleted or PaymentFailed"


def test_poison_beside_an_order_does_not_excuse_a_record_that_was_never_published() -> None:
    history = right_history()
    poisoned(COMPLETED, "inventory")(history)
    never_said("OrderCompleted", COMPLETED)(history)

    assert [violation.hop for violation in check(history, ["published"])] == ["order: Shipped -> OrderCompleted"]


def test_a_dead_letter_that_an_operator_has_dealt_with_is_not_wrong_any_more() -> None:
    history = right_history()
    dead_lettered("inventory", 3, NO_FUNDS)(history)

    assert [violation.service for violation in check(history, ["dead-letters"])] == ["inventory"]

    history.dealt_with.append(DealtWith("inventory", "orders/0/3"))

    assert check(history, ["dead-letters"]) == []
