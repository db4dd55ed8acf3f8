"""All the business of notification: tell the user of each step of an order once."""

from typing import ClassVar

from shop.notification.v1.commands_pb2 import Notify
from shop.notification.v1.events_pb2 import NotificationSent

from services import saga
from services.engine.participant import Effect, Event, Handler, Participant, State, States, key

PATIENCE_S = 0.25
"""No order waits for what its user is told."""
TEXTS = {
    "InventoryConfirmed": "Your order {order_id} is reserved.",
    "PaymentCompleted": "Your order {order_id} is paid.",
    "Shipped": "Your order {order_id} is on its way.",
    "OrderCompleted": "Your order {order_id} is complete.",
    "OrderCancelled": "Your order {order_id} was cancelled. Nothing is charged.",
}


class Told(State, frozen=True):
    """told/<order id>: what its user was told of, by the short name of the event, with the text."""

    kind: ClassVar[str] = "told"
    texts: dict[str, str] = {}


def keys_of_notify(command: Notify) -> list[str]:
    return [key(Told, command.order.order_id)]


def notify(states: States, command: Notify) -> list[Effect]:
    order_id = command.order.order_id
    if command.about in states.get(Told, order_id).texts:
        return []
    text = TEXTS[command.about].format(order_id=order_id)
    return [Event(key(Told, order_id), NotificationSent(order=command.order, about=command.about, text=text))]


def sent(state: Told, event: NotificationSent) -> Told:
    return Told({**state.texts, event.about: event.text})


def participant() -> Participant:
    consumes = saga.consumed_by("notification")
    return Participant(
        name="notification",
        topics=saga.topics_of(consumes),
        consumes=consumes,
        handlers={Notify: Handler(keys_of_notify, notify)},
        folds={NotificationSent: sent},
        states=(Told,),
        public=saga.PUBLIC,
        about=saga.about,
        patience_s=PATIENCE_S,
    )
