"""The customer's commands against a gateway double on a real port."""

import json
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from sagaproof.cli import main
from sagaproof.client import Gateway
from sagaproof.documents import order_decoder, product_decoder
from sagaproof.errors import Unreachable
from sagaproof.tests.cli_doubles import ORDER_ID, FakeGateway, document, running_gateway


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[FakeGateway]:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    with running_gateway() as running:
        monkeypatch.setenv("SAGAPROOF_URL", running.url)
        yield running


def ended(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(arguments))
    return int(str(end.value.code or 0))


def test_an_order_is_placed_and_told_to_its_ending(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("order", "product-1:2", "product-2", "--user", "ann", "--address", "1 Main Street", "--key", "k") == 0
    assert gateway.bodies == [
        {
            "userId": "ann",
            "items": [{"productId": "product-1", "quantity": 2}, {"productId": "product-2", "quantity": 1}],
            "deliveryAddress": "1 Main Street",
        }
    ]
    assert gateway.headers[0]["idempotency-key"] == "k"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"order {ORDER_ID}"
    assert [line.split()[-1] for line in lines[1:5]] == [
        "OrderCreated",
        "InventoryConfirmed",
        "PaymentCompleted",
        "Shipped",
    ]
    assert lines[2].split()[:2] == ["10", "ms"]
    assert lines[5] == "COMPLETED  30 ms"


def test_without_watching_only_the_id_is_printed(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("order", "product-1", "--no-watch") == 0
    assert capsys.readouterr().out == f"{ORDER_ID}\n"
    assert "idempotency-key" not in gateway.headers[0]


def test_an_order_that_is_cancelled_is_a_fine_ending_too(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.story = [document(1, "CANCELLED", reason="OUT_OF_STOCK", reasonDetail="2 wanted, 1 available")]
    assert ended("watch", ORDER_ID) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "CANCELLED OUT_OF_STOCK  0 ms"


def test_watching_as_json_gives_each_document_unchanged(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("watch", ORDER_ID, "--json") == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == gateway.story


def test_a_watch_that_is_cut_goes_on_behind_what_it_has_seen(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.story = [document(1), document(2, "AWAITING_PAYMENT"), document(4, "COMPLETED")]
    gateway.cut_after = [1, 1]
    assert ended("watch", ORDER_ID, "--json") == 0
    printed = capsys.readouterr()
    assert [json.loads(line)["seq"] for line in printed.out.splitlines()] == [1, 2, 4]
    assert gateway.watched_since == [None, 1, 2]
    assert "is lost, trying again" in printed.err
    assert "connected again" in printed.err


def test_a_watch_goes_on_until_the_delivery_if_asked_to(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.story.append(document(5, "COMPLETED", delivery={"status": "DELIVERED"}))
    assert ended("watch", ORDER_ID, "--delivery", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["seq"] == 5


@pytest.mark.usefixtures("gateway")
def test_since_leaves_out_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("watch", ORDER_ID, "--since", "1", "--json") == 0
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [4]


def test_an_ending_that_does_not_come_in_time_is_an_error(gateway: FakeGateway) -> None:
    gateway.story = [document(1)]
    gateway.cut_after = [1] * 100
    with Gateway(gateway.url) as client, pytest.raises(Unreachable, match="did not end within"):
        for _ in client.watch(ORDER_ID, within_s=0.5):
            pass


@pytest.mark.usefixtures("gateway")
def test_an_unknown_order_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("watch", "no-such-order") == 1
    assert capsys.readouterr().err == "there is no order no-such-order\n"


def test_a_problem_is_one_line(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.refusal = (409, {"title": "The order has ended", "detail": "The order has ended: COMPLETED", "status": 409})
    assert ended("cancel", ORDER_ID) == 1
    assert capsys.readouterr().err == "The order has ended: COMPLETED\n"


def test_a_problem_names_the_fields_at_fault(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    errors = [{"field": "userId", "message": "is too long"}, {"field": "items", "message": "are too many"}]
    gateway.refusal = (422, {"title": "The request is not valid", "detail": "...", "errors": errors})
    assert ended("order", "product-1") == 1
    assert capsys.readouterr().err == "The request is not valid\n  userId: is too long\n  items: are too many\n"


def test_an_order_that_may_exist_all_the_same_is_named(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.refusal = (503, {"title": "The order may have been accepted", "detail": "No answer.", "orderId": ORDER_ID})
    assert ended("order", "product-1") == 1
    assert f"sagaproof status {ORDER_ID}" in capsys.readouterr().err


def test_an_answer_that_is_not_a_gateways_is_said(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("products", "--url", f"{gateway.url}/elsewhere") == 1
    assert "404" in capsys.readouterr().err


def test_the_status_shows_the_order_and_why_it_ended(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    price = {"amountMinor": 249975, "currency": "USD"}
    gateway.story = [
        document(
            2,
            "CANCELLED",
            reason="INSUFFICIENT_FUNDS",
            reasonDetail="too dear",
            total=price,
            items=[{"productId": "product-3", "quantity": 25, "unitPrice": None}],
            payment={"status": "FAILED", "amount": None, "refunded": None},
        )
    ]
    assert ended("status", ORDER_ID) == 0
    shown = capsys.readouterr().out
    for text in ("CANCELLED INSUFFICIENT_FUNDS", "too dear", "25 x product-3", "2,499.75 USD", "InventoryConfirmed"):
        assert text in shown


@pytest.mark.usefixtures("gateway")
def test_the_status_as_json_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("status", ORDER_ID, "--json") == 0
    assert order_decoder.decode(capsys.readouterr().out).status == "COMPLETED"


@pytest.mark.usefixtures("gateway")
def test_products_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("products") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "product-1",
        "Premium",
        "Widget",
        "29.99",
        "USD",
        "1,100",
        "2",
    ]


@pytest.mark.usefixtures("gateway")
def test_one_product_is_a_table_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("products", "product-7") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["product", "product-7"]
    assert ended("products", "product-7", "--json") == 0
    assert product_decoder.decode(capsys.readouterr().out).product_id == "product-7"


@pytest.mark.usefixtures("gateway")
def test_marketing_is_a_few_lines_and_three_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("marketing", "--top", "1", "--currency", "EUR") == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        "revenue 1,234.56 EUR for 7 pieces",
        "orders 1,234 completed, 1,234.56 EUR on average",
        "cancelled 2: 2 OUT_OF_STOCK",
        "refunded 1,234.56 EUR",
        "customers 5",
        "",
        "customer orders value",
        "ann 3 1,234.56 EUR",
        "",
        "product name pieces orders revenue",
        "product-1 - 7 3 1,234.56 EUR",
        "",
        "day orders pieces revenue refunded cancelled",
        "2026-01-02 3 7 1,234.56 EUR 1,234.56 EUR 0",
    ]


@pytest.mark.usefixtures("gateway")
def test_marketing_as_json_has_every_view(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("marketing", "--json") == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert list(shown) == ["overview", "ltv", "popularity", "dailySales"]
    assert shown["ltv"]["items"][0]["userId"] == "ann"
