"""Who asks the simulated shop for something, and what they were told and saw."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message as Proto
from shop.common.v1.common_pb2 import Money, OrderItem, OrderStatus, Reason
from shop.inventory.v1.service_pb2 import RestockRequest
from shop.order.v1.service_pb2 import CancelOrderRequest, PlaceOrderRequest
from shop.payment.v1.service_pb2 import DepositRequest

from e2e.history import Accepted, Observed
from e2e.simulated.scenario import Deposit, Order, Restock
from e2e.simulated.world import Clock
from services.engine.batch import decode_state
from services.engine.messages import Message, type_name
from services.engine.participant import Refusal, Reply, key
from services.engine.store import Store
from services.status.documents import document
from services.status.fold import StatusState


class Request:
    """Something that is asked for until it is answered: each time with the same ids.

    cause_id: what the events that it causes make their ids of, as the service's own servicer gives it
    answered: whether the answer, which may be a refusal, has come
    """

    def __init__(self, service: str, cause_id: str, body: Proto, on_reply: Callable[[], None]) -> None:
        self.service = service
        self._cause_id = cause_id
        self._body = body
        self._on_reply = on_reply
        self.answered = False

    def message(self, now_us: int, answered: Callable[[], bool]) -> Message:
        """For the service's mailbox. `answered` says whether the answer is to reach us."""

        def answer(result: Reply | Refusal | Exception) -> None:
            if isinstance(result, Exception):
                raise result
            self.answered = answered()
            if self.answered and isinstance(result, Reply):
                self._on_reply()

        body = self._body
        if isinstance(body, PlaceOrderRequest):
            body.accepted_us = now_us
        return Message(self._cause_id, body, type_name(body), answer=answer)


class Customers:
    """All of them, and the operators.

    accepted:  the orders of which they were told that they are accepted, by id
    observed:  what their watches showed
    watching:  order -> the number of facts that its watch has shown
    restocked, deposited: what was answered, by product and by user
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.accepted: dict[str, Accepted] = {}
        self.observed: list[Observed] = []
        self.watching: dict[str, int] = {}
        self.restocked: dict[str, int] = {}
        self.deposited: dict[str, int] = {}

    def place(self, order_id: str, order: Order, then: Callable[[], None]) -> Request:
        """`then` comes when the order is accepted."""

        def accepted() -> None:
            self.accepted[order_id] = Accepted(order_id, order.user, order.items, self._clock.now_us)
            if order.watched:
                self.watching[order_id] = 0
            then()

        items = [OrderItem(product_id=product, quantity=pieces) for product, pieces in order.items.items()]
        body = PlaceOrderRequest(order_id=order_id, user_id=order.user, items=items, delivery_address="1 Road")
        return Request("order", order_id, body, accepted)

    def cancel(self, order_id: str) -> Request:
        return Request("order", order_id, CancelOrderRequest(order_id=order_id), lambda: None)

    def restock(self, request_id: str, restock: Restock) -> Request:
        def restocked() -> None:
            self.restocked[restock.product] = self.restocked.get(restock.product, 0) + restock.quantity

        body = RestockRequest(request_id=request_id, product_id=restock.product, quantity=restock.quantity)
        return Request("inventory", f"restock/{request_id}", body, restocked)

    def deposit(self, request_id: str, deposit: Deposit) -> Request:
        def deposited() -> None:
            self.deposited[deposit.user] = self.deposited.get(deposit.user, 0) + deposit.amount_minor

        amount = Money(amount_minor=deposit.amount_minor, currency="USD")
        body = DepositRequest(request_id=request_id, user_id=deposit.user, amount=amount)
        return Request("payment", f"deposit/{request_id}", body, deposited)

    def see(self, order_id: str, state: StatusState) -> None:
        """The status service tells the order's watch, if there is one, of a new state."""
        if order_id not in self.watching:
            return
        shown = document(state)
        self.watching[order_id] = shown.seq
        status, reason = status_of(shown.status), reason_of(shown.reason)
        self.observed.append(Observed(order_id, f"{order_id}/1", shown.seq, status, reason, self._clock.now_us))

    def look(self, order_id: str, store: Store) -> None:
        """A watch begins, or again: it shows what the status service has stored, if that is more than it has shown."""
        row = store.entity(key(StatusState, order_id))
        if row is None or order_id not in self.watching:
            return
        state = decode_state(StatusState, row.state)
        if len(state.seen) > self.watching[order_id]:
            self.see(order_id, state)


def status_of(status: Any) -> str:
    """In HTTP's words."""
    return OrderStatus.Name(status).removeprefix("ORDER_STATUS_")


def reason_of(reason: Any) -> str:
    """In HTTP's words; '' for none."""
    return Reason.Name(reason).removeprefix("REASON_") if reason else ""
