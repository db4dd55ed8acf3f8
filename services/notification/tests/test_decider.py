"""Notification as a table: each step of an order is told once."""

import pytest
from shop.notification.v1.commands_pb2 import Notify
from shop.notification.v1.events_pb2 import NotificationSent

from services import saga
from services.engine.participant import Event
from services.notification.decider import TEXTS, Told, participant
from services.tests.given import given
from services.tests.shop import ORDER_ID, PRICED

NOTIFICATION = participant()
STEPS = [row.event.DESCRIPTOR.name for row in saga.SAGA if row.participant == "notification"]


def sent(about: str) -> Event:
    text = TEXTS[about].format(order_id=ORDER_ID)
    return Event(f"told/{ORDER_ID}", NotificationSent(order=PRICED, about=about, text=text))


@pytest.mark.parametrize("about", STEPS)
def test_a_step_is_told_the_first_time_and_never_again(about: str) -> None:
    given(NOTIFICATION).when(Notify(order=PRICED, about=about)).then(sent(about))
    given(NOTIFICATION, sent(about)).when(Notify(order=PRICED, about=about)).then()


def test_having_told_one_step_does_not_keep_back_another() -> None:
    after = given(NOTIFICATION, sent("Shipped")).when(Notify(order=PRICED, about="OrderCompleted"))
    after.then(sent("OrderCompleted"))
    assert sorted(after.state(Told, ORDER_ID).texts) == ["OrderCompleted", "Shipped"]


def test_there_is_a_text_for_every_step_that_the_saga_tells() -> None:
    assert sorted(TEXTS) == sorted(STEPS)


def test_a_text_names_the_order() -> None:
    assert all(ORDER_ID in text.format(order_id=ORDER_ID) for text in TEXTS.values())
