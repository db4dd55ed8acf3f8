"""The operator's commands against a service double with reflection, on a real port."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from sagaproof.admin import Listeners
from sagaproof.cli import main
from sagaproof.tests.cli_doubles import ORDER_ID, FakeService, running_service


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[FakeService]:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    with running_service() as running:
        yield running


def ended(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(arguments))
    return int(str(end.value.code or 0))


def test_restock_says_what_there_is_now(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("restock", "product-1", "1500", "--address", service.address) == 0
    assert capsys.readouterr().out == "product-1: 1,500 available, 0 reserved\n"


def test_a_restock_whose_answer_is_lost_is_repeated_with_the_same_id(service: FakeService) -> None:
    service.inventory.lost_answers = 2
    assert ended("restock", "product-1", "5", "--address", service.address) == 0
    assert len(service.inventory.request_ids) == 3
    assert len(set(service.inventory.request_ids)) == 1


def test_two_restocks_have_different_ids(service: FakeService) -> None:
    for _ in range(2):
        assert ended("restock", "product-1", "5", "--address", service.address) == 0
    assert len(set(service.inventory.request_ids)) == 2


@pytest.mark.parametrize(
    ("text", "cents"), [("50", 5000), ("12.34", 1234), ("0.1", 10), ("0.07", 7), ("1234567.89", 123456789)]
)
def test_a_deposit_is_exact(text: str, cents: int, service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("deposit", "ann", text, "--address", service.address, "--json") == 0
    account = json.loads(capsys.readouterr().out)
    assert account == {"userId": "ann", "balance": {"amountMinor": str(cents), "currency": "USD"}}


def test_admin_lists_every_method_with_what_it_takes(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("admin", service.address) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Restock", "{requestId:", "string,", "productId:", "string,", "quantity:", "int32}"] in shown
    assert ["GetInfo", "{}"] in shown
    assert not any("reflection" in line[0] for line in shown)


def test_admin_lists_methods_as_json(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("admin", service.address, "--json") == 0
    restock = {"service": "shop.inventory.v1.InventoryService", "method": "Restock", "address": service.address}
    listed = json.loads(capsys.readouterr().out)
    assert any(restock.items() <= method.items() for method in listed)


@pytest.mark.parametrize("name", ["Restock", "restock", "shop.inventory.v1.InventoryService/Restock"])
def test_admin_calls_a_method_by_any_of_its_names(
    name: str, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("admin", service.address, name, '{"requestId": "r", "productId": "p", "quantity": 3}') == 0
    assert json.loads(capsys.readouterr().out)["product"]["available"] == 3


def test_admin_shows_json_inside_an_answer_as_what_it_is(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("admin", service.address, "ListEvents", '{"entity": "stock/p"}') == 0
    [event] = json.loads(capsys.readouterr().out)["events"]
    assert event["seq"] == "7"
    assert event["json"] == {"quantity": 3}


def test_a_stream_stays_open_while_it_is_read(service: FakeService) -> None:
    with Listeners("status", [service.address]) as listeners:
        method = listeners.find("shop.status.v1.StatusService/Watch")
        answers = listeners.call(method, json.dumps({"subscribe": {"orderId": ORDER_ID}}))
        assert next(answers)["document"]["status"] == "ORDER_STATUS_COMPLETED"
        answers.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("GetProduct", '{"productId": "nope"}'), "refused: NOT_FOUND: there is no product nope"),
        (("GetInfo",), "refused: UNIMPLEMENTED"),
        (("Destroy",), "has no method 'Destroy'; it has"),
        (("GetProduct", '{"productId"'), "the request is not JSON"),
        (("GetProduct", '{"colour": "red"}'), "GetProduct takes {productId: string}"),
        (("GetProduct", "[1]"), "the request does not fit"),
        (("GetProduct", "7"), "the request does not fit"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_in_a_line(
    arguments: tuple[str, ...], said: str, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("admin", service.address, *arguments) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
