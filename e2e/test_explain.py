"""An order's story reads the same as it was written down here once, and fits the screen."""

from __future__ import annotations

from msgspec.structs import replace

from e2e.checks.tests.planting import is_it, never, never_said, never_stored, poisoned
from e2e.checks.tests.shop import COMPLETED, LATE, NO_FUNDS, STEP_US, TOO_LARGE, right_history
from e2e.explain import WIDTH, explain
from e2e.history import FaultSpan, History


def broken_history() -> History:
    """Inventory was killed while it released the order's goods: it said so twice, and the stock never came back."""
    history = right_history()
    never("StockReturned", NO_FUNDS)(history)
    released = next(row for row in history.published if is_it(row, "InventoryReleased", NO_FUNDS))
    last = max(row.offset for row in history.published if row.topic == released.topic)
    history.published.append(replace(released, offset=last + 1))
    at_us = released.time_us
    history.faults = [
        FaultSpan("kill", "inventory", at_us - STEP_US, at_us + STEP_US),
        FaultSpan("stop", "marketing", at_us - 1_000_000, at_us + 1_000_000),
        FaultSpan("kill", "kafka", at_us + 5_000_000, at_us + 6_000_000),
    ]
    return history


STORY = """\
order 0190c0de-0000-7000-8000-000000000003: CANCELLED INSUFFICIENT_FUNDS
40 x product-1 for cleo; choreographed, deadline 30 s

   +0.000  === stop of marketing, for 0.993 s already ==============================================
   +0.000  order         OrderCreated                       c8eb4b < 000003 orders/0/4
   +0.000  customer      is told that it is accepted
   +0.000  customer      sees PENDING seq 1
   +0.001  inventory     StockReserved 40 x product-1       df21c7 < c8eb4b
   +0.002  inventory     InventoryConfirmed                 1c69d7 < c8eb4b inventory/0/2
   +0.003  notification  NotificationSent                   a64962 < 1c69d7 notification/0/5
                           InventoryConfirmed
   +0.003  customer      sees AWAITING_PAYMENT seq 2
   +0.004  payment       PaymentFailed too little           36379f < 1c69d7 payment/0/1
   +0.005  order         FactRecorded PaymentFailed too     886c50 < 36379f
                           little
   +0.006  === kill of inventory ===================================================================
   +0.007  inventory     InventoryReleased                  9be13f < 36379f inventory/0/3
                           (published 2 times)
   +0.008  === kill of inventory is over ===========================================================
   +0.008  order         FactRecorded InventoryReleased     cb4c4b < 9be13f
   +0.009  order         OrderCancelled INSUFFICIENT_FUNDS  a3d88c < 9be13f orders/0/5
                           too little
   +0.010  notification  NotificationSent OrderCancelled    f8150c < a3d88c notification/0/6
   +0.010  customer      sees CANCELLED INSUFFICIENT_FUNDS seq 5

At rest, status shows CANCELLED INSUFFICIENT_FUNDS seq 5.
VIOLATION of all-or-nothing, at inventory: PaymentFailed -> InventoryReleased
    inventory: its reservation still holds 40 x product-1
"""


def test_a_story_has_events_customers_faults_and_violations_in_the_order_of_time() -> None:
    assert explain(broken_history(), NO_FUNDS) == STORY


def test_a_right_order_has_no_violation() -> None:
    assert explain(right_history(), COMPLETED).endswith("At rest, status shows COMPLETED seq 8.\nNo violation.\n")


def test_a_story_says_what_was_never_published_what_is_in_no_store_and_what_was_poisoned() -> None:
    history = right_history()
    never_said("PaymentCompleted", TOO_LARGE)(history)
    never_stored("PaymentRefunded", TOO_LARGE)(history)
    poisoned(TOO_LARGE, "inventory", "status")(history)

    story = explain(history, TOO_LARGE)

    assert "not on payment" in story
    assert "(in no store)" in story
    assert "=== poison at orders/0/17: OrderCreated, to be refused by inventory, status ===" in story
    assert "VIOLATION of published, at payment: InventoryConfirmed -> PaymentCompleted" in story


def test_a_story_fits_the_screen() -> None:
    history = broken_history()
    poisoned(LATE, "order", "inventory", "payment", "shipping", "notification", "status", "marketing")(history)

    stories = [explain(history, order_id) for order_id in history.accepted]

    assert max(len(line) for story in stories for line in story.splitlines()) <= WIDTH


def test_a_cause_that_is_not_there_or_goes_round_in_a_circle_is_no_obstacle() -> None:
    history = right_history()
    history.stored = [
        replace(row, cause_id=row.message_id) if is_it(row, "Shipped", COMPLETED) else row for row in history.stored
    ]

    assert "Shipped" in explain(history, COMPLETED)


def test_of_an_unknown_order_nothing_is_known() -> None:
    assert explain(right_history(), "nobody's") == "order nobody's: nothing is known of it\n"
