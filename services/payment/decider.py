"""All the business of payment: charge an order, refund it; deposits.

| charge | Charge | Refund |
|---|---|---|
| none | Completed -> charged, or Failed -> failed | Refunded(0) -> void |
| charged | - | Refunded -> refunded |
| failed, void, refunded | - | - |

`void` is the tombstone of a refund that came before its charge: nothing is charged after it.
"""

from functools import partial
from typing import ClassVar, Literal

import msgspec
from google.rpc.code_pb2 import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT
from shop.common.v1.common_pb2 import Money
from shop.payment.v1 import events_pb2 as events
from shop.payment.v1 import service_pb2 as api
from shop.payment.v1.commands_pb2 import ChargePayment, RefundPayment

from services import saga
from services.engine.participant import Effect, Event, Handler, Participant, Refusal, Reply, State, States, key

BALANCE_MAX_MINOR = 10**15


class Opening(msgspec.Struct, frozen=True):
    """What an account opens with, on first use; its currency stays."""

    balance_minor: int = 100_000
    currency: str = "USD"


class Charge(State, frozen=True):
    """charge/<order id>"""

    kind: ClassVar[str] = "charge"
    status: Literal["none", "charged", "failed", "void", "refunded"] = "none"
    user_id: str = ""
    amount_minor: int = 0
    currency: str = ""


class Account(State, frozen=True):
    """account/<user id>"""

    kind: ClassVar[str] = "account"
    opened: bool = False
    balance_minor: int = 0
    currency: str = ""


class Deposited(State, frozen=True):
    """deposit/<request id>: remembers the request for ever, since paying in twice would not be the same."""

    kind: ClassVar[str] = "deposit"
    user_id: str = ""
    amount_minor: int = 0
    currency: str = ""


def keys_of_order(command: ChargePayment | RefundPayment) -> list[str]:
    return [key(Charge, command.order.order_id), key(Account, command.order.user_id)]


def keys_of_deposit(command: api.DepositRequest) -> list[str]:
    return [key(Deposited, command.request_id), key(Account, command.user_id)]


def open_account(opening: Opening, states: States, user_id: str) -> tuple[Account, list[Effect]]:
    """The account as it is, or as it opens; and the event that opens it, if it must be."""
    account = states.get(Account, user_id)
    if account.opened:
        return account, []
    balance = Money(amount_minor=opening.balance_minor, currency=opening.currency)
    opened = events.AccountOpened(user_id=user_id, balance=balance)
    return account_opened(account, opened), [Event(key(Account, user_id), opened)]


def charge(opening: Opening, states: States, command: ChargePayment) -> list[Effect]:
    order = command.order
    if states.get(Charge, order.order_id).status != "none":
        return []
    account, effects = open_account(opening, states, order.user_id)
    entity = key(Charge, order.order_id)
    if account.currency != order.total.currency or account.balance_minor < order.total.amount_minor:
        detail = (
            f"{_show(order.total)} asked, {_show(Money(amount_minor=account.balance_minor, currency=account.currency))}"
            " in the account"
        )
        return [*effects, Event(entity, events.PaymentFailed(order=order, detail=detail))]
    debited = events.AccountDebited(user_id=order.user_id, amount=order.total, order_id=order.order_id)
    return [
        *effects,
        Event(entity, events.PaymentCompleted(order=order, amount=order.total)),
        Event(key(Account, order.user_id), debited),
    ]


def refund(opening: Opening, states: States, command: RefundPayment) -> list[Effect]:
    order = command.order
    before = states.get(Charge, order.order_id)
    entity = key(Charge, order.order_id)
    match before.status:
        case "none":
            nothing = Money(amount_minor=0, currency=opening.currency)
            return [Event(entity, events.PaymentRefunded(order=order, amount=nothing))]
        case "charged":
            amount = Money(amount_minor=before.amount_minor, currency=before.currency)
            credited = events.AccountCredited(user_id=before.user_id, amount=amount, order_id=order.order_id)
            return [
                Event(entity, events.PaymentRefunded(order=order, amount=amount)),
                Event(key(Account, before.user_id), credited),
            ]
        case _:
            return []


def deposit(opening: Opening, states: States, command: api.DepositRequest) -> list[Effect]:
    amount = command.amount
    before = states.get(Deposited, command.request_id)
    account, effects = open_account(opening, states, command.user_id)
    if before.user_id:
        if before != Deposited(command.user_id, amount.amount_minor, amount.currency):
            return [Refusal(ALREADY_EXISTS, "the request id was used for another deposit", "request_id")]
        return [Reply(api.DepositResponse(account=describe(command.user_id, account)))]
    if amount.currency != account.currency:
        return [Refusal(INVALID_ARGUMENT, f"the account is in {account.currency}", "amount.currency")]
    if account.balance_minor + amount.amount_minor > BALANCE_MAX_MINOR:
        return [Refusal(FAILED_PRECONDITION, "the account cannot hold that much", "amount.amount_minor")]
    accepted = events.DepositAccepted(request_id=command.request_id, user_id=command.user_id, amount=amount)
    credit = events.AccountCredited(user_id=command.user_id, amount=amount, deposit_request_id=command.request_id)
    return [
        *effects,
        Event(key(Deposited, command.request_id), accepted),
        Event(key(Account, command.user_id), credit),
        Reply(api.DepositResponse(account=describe(command.user_id, credited(account, credit)))),
    ]


def describe(user_id: str, account: Account) -> api.Account:
    """An account as clients see it."""
    return api.Account(user_id=user_id, balance=Money(amount_minor=account.balance_minor, currency=account.currency))


def _show(money: Money) -> str:
    # For people only; all currencies that the shop has take two digits.
    return f"{money.amount_minor // 100:,}.{money.amount_minor % 100:02} {money.currency}"


def completed(_: Charge, event: events.PaymentCompleted) -> Charge:
    return Charge("charged", event.order.user_id, event.amount.amount_minor, event.amount.currency)


def failed(_: Charge, event: events.PaymentFailed) -> Charge:
    return Charge("failed", event.order.user_id)


def refunded(state: Charge, event: events.PaymentRefunded) -> Charge:
    if state.status == "none":
        return Charge("void", event.order.user_id)
    return Charge("refunded", state.user_id, state.amount_minor, state.currency)


def account_opened(_: Account, event: events.AccountOpened) -> Account:
    return Account(True, event.balance.amount_minor, event.balance.currency)


def debited(state: Account, event: events.AccountDebited) -> Account:
    return Account(state.opened, state.balance_minor - event.amount.amount_minor, state.currency)


def credited(state: Account, event: events.AccountCredited) -> Account:
    return Account(state.opened, state.balance_minor + event.amount.amount_minor, state.currency)


def deposit_accepted(_: Deposited, event: events.DepositAccepted) -> Deposited:
    return Deposited(event.user_id, event.amount.amount_minor, event.amount.currency)


def participant(opening: Opening, mode: saga.Mode = "choreographed") -> Participant:
    path = saga.path_of("payment", mode)
    return Participant(
        name="payment",
        group=path.group,
        topics=path.topics,
        consumes=path.consumes,
        handlers={
            ChargePayment: Handler(keys_of_order, partial(charge, opening)),
            RefundPayment: Handler(keys_of_order, partial(refund, opening)),
            api.DepositRequest: Handler(keys_of_deposit, partial(deposit, opening)),
        },
        folds={
            events.PaymentCompleted: completed,
            events.PaymentFailed: failed,
            events.PaymentRefunded: refunded,
            events.AccountOpened: account_opened,
            events.AccountDebited: debited,
            events.AccountCredited: credited,
            events.DepositAccepted: deposit_accepted,
        },
        states=(Charge, Account, Deposited),
        public=saga.PUBLIC,
        about=saga.about,
    )
