"""Payment as a table: given what has happened, when a command comes, then these events."""

import pytest
from google.rpc.code_pb2 import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT
from shop.common.v1.common_pb2 import Money
from shop.payment.v1 import events_pb2 as events
from shop.payment.v1 import service_pb2 as api
from shop.payment.v1.commands_pb2 import ChargePayment, RefundPayment

from services.engine.participant import Event, Reply
from services.payment.decider import BALANCE_MAX_MINOR, Account, Charge, Opening, describe, participant
from services.tests.given import Cell, Table, given
from services.tests.shop import ORDER_ID, PRICED, USER_ID, order, priced, usd

PAYMENT = participant(Opening())
CHARGE_KEY = f"charge/{ORDER_ID}"
ACCOUNT_KEY = f"account/{USER_ID}"
TOTAL = PRICED.total

CHARGE = ChargePayment(order=PRICED)
REFUND = RefundPayment(order=PRICED)


def _show(usd_minor: int) -> str:
    return f"{usd_minor // 100:,}.{usd_minor % 100:02} USD"


def opened(balance_minor: int) -> Event:
    return Event(ACCOUNT_KEY, events.AccountOpened(user_id=USER_ID, balance=usd(balance_minor)))


def failed(balance_minor: int) -> Event:
    detail = f"{_show(TOTAL.amount_minor)} asked, {_show(balance_minor)} in the account"
    return Event(CHARGE_KEY, events.PaymentFailed(order=PRICED, detail=detail))


COMPLETED = [
    Event(CHARGE_KEY, events.PaymentCompleted(order=PRICED, amount=TOTAL)),
    Event(ACCOUNT_KEY, events.AccountDebited(user_id=USER_ID, amount=TOTAL, order_id=ORDER_ID)),
]
REFUNDED = [
    Event(CHARGE_KEY, events.PaymentRefunded(order=PRICED, amount=TOTAL)),
    Event(ACCOUNT_KEY, events.AccountCredited(user_id=USER_ID, amount=TOTAL, order_id=ORDER_ID)),
]
REFUNDED_NOTHING = [Event(CHARGE_KEY, events.PaymentRefunded(order=PRICED, amount=usd(0)))]

HISTORIES = {
    "none": [opened(100_000)],
    "charged": [opened(100_000), *COMPLETED],
    "failed": [opened(5), failed(5)],
    "void": [*REFUNDED_NOTHING],
    "refunded": [opened(100_000), *COMPLETED, *REFUNDED],
}
CELLS = [
    Cell("none", CHARGE, COMPLETED, "charged"),
    Cell("none", REFUND, REFUNDED_NOTHING, "void"),
    Cell("charged", CHARGE, [], "charged"),
    Cell("charged", REFUND, REFUNDED, "refunded"),
    Cell("failed", CHARGE, [], "failed"),
    Cell("failed", REFUND, [], "failed"),
    Cell("void", CHARGE, [], "void"),
    Cell("void", REFUND, [], "void"),
    Cell("refunded", CHARGE, [], "refunded"),
    Cell("refunded", REFUND, [], "refunded"),
]
TABLE = Table(PAYMENT, Charge, ORDER_ID, HISTORIES)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_charge_follows_the_table(cell: Cell) -> None:
    TABLE.holds(cell)


def test_the_table_has_every_cell() -> None:
    TABLE.is_complete(CELLS)


def test_an_account_opens_with_its_first_charge() -> None:
    when = given(PAYMENT).when(CHARGE).then(opened(100_000), *COMPLETED)
    assert when.state(Account, USER_ID) == Account(True, 100_000 - TOTAL.amount_minor, "USD")


def test_an_account_opens_even_if_the_charge_fails() -> None:
    poor = participant(Opening(balance_minor=5))
    given(poor).when(CHARGE).then(opened(5), failed(5))


def test_a_charge_that_the_balance_does_not_cover_takes_nothing() -> None:
    short = TOTAL.amount_minor - 1
    when = given(PAYMENT, opened(short)).when(CHARGE).then(failed(short))
    assert when.state(Account, USER_ID).balance_minor == short


def test_the_last_cent_can_be_spent() -> None:
    when = given(PAYMENT, opened(TOTAL.amount_minor)).when(CHARGE).then(*COMPLETED)
    assert when.state(Account, USER_ID).balance_minor == 0


def test_an_account_in_another_currency_is_not_charged() -> None:
    euros = Money(amount_minor=100_000, currency="EUR")
    account = Event(ACCOUNT_KEY, events.AccountOpened(user_id=USER_ID, balance=euros))
    detail = f"{_show(TOTAL.amount_minor)} asked, 1,000.00 EUR in the account"
    given(PAYMENT, account).when(CHARGE).then(Event(CHARGE_KEY, events.PaymentFailed(order=PRICED, detail=detail)))


def test_a_refund_in_the_name_of_another_user_is_impossible() -> None:
    other = priced(order({"product-3": 1}, user_id="eve"))
    charged = given(PAYMENT, opened(100_000), *COMPLETED)
    with pytest.raises(KeyError, match=ACCOUNT_KEY):
        charged.when(RefundPayment(order=other))


DEPOSIT = api.DepositRequest(request_id="d-1", user_id=USER_ID, amount=usd(500))
PAID_IN = [
    Event("deposit/d-1", events.DepositAccepted(request_id="d-1", user_id=USER_ID, amount=usd(500))),
    Event(ACCOUNT_KEY, events.AccountCredited(user_id=USER_ID, amount=usd(500), deposit_request_id="d-1")),
]


def balance(balance_minor: int) -> Reply:
    return Reply(api.DepositResponse(account=describe(USER_ID, Account(True, balance_minor, "USD"))))


def test_a_deposit_adds_to_the_balance() -> None:
    given(PAYMENT, opened(7)).when(DEPOSIT).then(*PAID_IN, balance(507))


def test_a_deposit_opens_an_account_that_was_never_used() -> None:
    given(PAYMENT).when(DEPOSIT).then(opened(100_000), *PAID_IN, balance(100_500))


def test_a_repeated_deposit_is_answered_the_same_and_pays_in_nothing() -> None:
    given(PAYMENT, opened(7), *PAID_IN).when(DEPOSIT).then(balance(507))


@pytest.mark.parametrize(
    "other",
    [
        api.DepositRequest(request_id="d-1", user_id=USER_ID, amount=usd(501)),
        api.DepositRequest(request_id="d-1", user_id="eve", amount=usd(500)),
        api.DepositRequest(request_id="d-1", user_id=USER_ID, amount=Money(amount_minor=500, currency="EUR")),
    ],
    ids=["amount", "user", "currency"],
)
def test_a_request_id_that_was_used_for_another_deposit_is_refused(other: api.DepositRequest) -> None:
    given(PAYMENT, opened(7), *PAID_IN).when(other).then_refused(ALREADY_EXISTS, "request_id")


def test_a_deposit_in_another_currency_is_refused_and_opens_no_account() -> None:
    euros = api.DepositRequest(request_id="d-1", user_id=USER_ID, amount=Money(amount_minor=1, currency="EUR"))
    given(PAYMENT).when(euros).then_refused(INVALID_ARGUMENT, "amount.currency")


def test_an_account_holds_only_so_much() -> None:
    given(PAYMENT, opened(BALANCE_MAX_MINOR - 500)).when(DEPOSIT).then(*PAID_IN, balance(BALANCE_MAX_MINOR))
    when = given(PAYMENT, opened(BALANCE_MAX_MINOR - 499)).when(DEPOSIT)
    when.then_refused(FAILED_PRECONDITION, "amount.amount_minor")
