"""`sagaproof dlq` against inventory's real engine and AdminService."""

import json
import shlex
import sys
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest
from shop.common.v1.common_pb2 import Order, OrderItem
from shop.order.v1.events_pb2 import OrderCreated

from sagaproof import payloads
from sagaproof.cli import main
from sagaproof.rpc import DEAD_LETTERS_PAGE
from sagaproof.tests.admin_process import AdminProcess, running
from sagaproof.tests.waiting import until

CREATED = "shop.order.v1.OrderCreated"
ORDER_ID = "0199c0de-7a3b-7c11-8a55-3d1f6a2b9c04"
GOOD = OrderCreated(
    order=Order(order_id=ORDER_ID, user_id="ann", items=[OrderItem(product_id="product-1", quantity=2)])
)
TRUNCATED = GOOD.SerializeToString()[:-3]
STOCK = 100


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[AdminProcess]:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    with running(tmp_path, "inventory") as [process]:
        yield process


def ended(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(("dlq", *arguments)))
    return int(str(end.value.code or 0))


def poisoned(inventory: AdminProcess, payload: bytes = TRUNCATED, **headers: bytes) -> str:
    """The id of the dead letter that a record has become."""
    good = {"ce_id": str(uuid4()).encode(), "ce_type": CREATED.encode(), "ce_time": b"2026-01-02T03:04:05Z"}
    letter_id = inventory.receive(payload, {**good, **headers}, ORDER_ID.encode())
    until(lambda: inventory.store.dead_letter(letter_id), what=f"{letter_id} is a dead letter")
    return letter_id


def status(inventory: AdminProcess, letter_id: str) -> str:
    letter = inventory.store.dead_letter(letter_id)
    assert letter is not None
    return letter.status


def available(inventory: AdminProcess) -> int:
    row = inventory.store.entity("stock/product-1")
    assert row is not None
    return json.loads(row.state)["available"]


def corrected(folder: Path, **changed: object) -> str:
    """A file with the payload as JSON."""
    document = payloads.to_document(CREATED, GOOD.SerializeToString())
    path = folder / "payload.json"
    path.write_text(json.dumps({**document, **changed}))
    return str(path)


def editor(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """EDITOR is a program that does `code` to `text`, which is what the file holds."""
    program = f"import sys; f = sys.argv[1]; text = open(f).read(); {code}; open(f, 'w').write(text)"
    monkeypatch.setenv("EDITOR", shlex.join([sys.executable, "-c", program]))


def test_a_dead_letter_is_listed_with_its_order_and_cause(
    inventory: AdminProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    assert ended("list", "inventory") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:4] == ["inventory", letter_id, "open", "OrderCreated"]
    assert second.split()[:2] == ["order", ORDER_ID]
    assert f"not a {CREATED}" in second


def test_the_list_as_json_is_by_time_and_of_the_asked_status(
    inventory: AdminProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = poisoned(inventory), poisoned(inventory)
    assert ended("discard", "inventory", first, "--yes") == 0
    capsys.readouterr()
    for wanted, ids in (("open", [second]), ("discarded", [first]), ("replayed", []), ("all", [first, second])):
        assert ended("list", "inventory", "--status", wanted, "--json") == 0
        assert [letter["id"] for letter in json.loads(capsys.readouterr().out)] == ids


def test_a_list_goes_over_many_pages(inventory: AdminProcess, capsys: pytest.CaptureFixture[str]) -> None:
    ids = {inventory.receive(b"garbage", {}, b"") for _ in range(2 * DEAD_LETTERS_PAGE)} | {poisoned(inventory)}
    assert ended("list", "inventory", "--json") == 0
    assert {letter["id"] for letter in json.loads(capsys.readouterr().out)} == ids


def test_a_service_that_does_not_answer_is_named_and_the_others_are_listed(
    inventory: AdminProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    assert ended("list") == 1
    printed = capsys.readouterr()
    assert letter_id in printed.out
    assert "(order): start it with `make run`" in printed.err


def test_where_the_first_replica_is_dead_the_next_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGAPROOF_HOME", str(tmp_path))
    with running(tmp_path, "inventory-1", silent="inventory") as [second]:
        letter_id = poisoned(second)
        assert ended("list") == 0
        assert letter_id in capsys.readouterr().out
        assert ended("show", "inventory", letter_id) == 0
        assert ended("show", f"127.0.0.1:{second.admin_port}", letter_id) == 0
        assert "service   inventory\n" in capsys.readouterr().out


def test_all_of_a_dead_letter_that_cannot_be_decoded_is_shown_with_what_to_type_next(
    inventory: AdminProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    assert ended("show", "inventory", letter_id) == 0
    shown = capsys.readouterr().out
    assert f"stood at  {letter_id}\n" in shown
    assert f"  ce_type: {CREATED}\n" in shown
    assert f"{len(TRUNCATED)} bytes that cannot be decoded" in shown
    assert f"  0000  {TRUNCATED[:16].hex(' ')}" in shown
    assert f"  sagaproof dlq edit inventory {letter_id}  # " in shown
    assert "sagaproof dlq replay" not in shown
    assert f"  sagaproof events --order {ORDER_ID}" in shown


def test_a_payload_that_breaks_a_rule_is_shown_decoded_with_the_field(
    inventory: AdminProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = OrderCreated()
    bad.CopyFrom(GOOD)
    bad.order.items[0].quantity = 0
    letter_id = poisoned(inventory, bad.SerializeToString())
    assert ended("show", "inventory", letter_id, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["document"]["order"]["userId"] == "ann"
    assert shown["faultOfPayload"].startswith("order.items[0].quantity ")
    assert shown["headers"]["ce_type"] == CREATED
    assert shown["place"] == {"topic": "orders", "partition": 0, "offset": 0}
    assert ended("show", "inventory", letter_id) == 0
    assert '"userId": "ann"' in capsys.readouterr().out


def test_headers_at_fault_are_said_and_only_discarding_is_offered(
    inventory: AdminProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory, GOOD.SerializeToString(), ce_time=b"yesterday")
    assert ended("show", "inventory", letter_id) == 0
    shown = capsys.readouterr().out
    assert "ce_time is not a time" in shown
    assert f"sagaproof dlq discard inventory {letter_id}" in shown
    assert "dlq edit" not in shown
    for command in (("edit",), ("replay", "--json", corrected(tmp_path))):
        assert ended(command[0], "inventory", letter_id, *command[1:]) == 1
        assert "no payload can help: ce_time is not a time" in capsys.readouterr().err


def test_a_corrected_payload_is_handled_and_replaying_twice_does_no_harm(
    inventory: AdminProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    assert ended("replay", "inventory", letter_id, "--json", corrected(tmp_path)) == 0
    said = capsys.readouterr().out
    assert said.startswith("replayed: inventory has handled it with the corrected payload\n")
    assert status(inventory, letter_id) == "replayed"
    assert available(inventory) == STOCK - 2
    assert ended("replay", "inventory", letter_id) == 0
    assert capsys.readouterr().out == "it was replayed before: nothing was done\n"
    assert available(inventory) == STOCK - 2
    assert ended("replay", "inventory", letter_id, "--json", corrected(tmp_path)) == 1
    assert "was replayed before: this was not used" in capsys.readouterr().err


def test_bytes_replace_the_payload_too(inventory: AdminProcess, tmp_path: Path) -> None:
    letter_id = poisoned(inventory)
    path = tmp_path / "payload"
    path.write_bytes(GOOD.SerializeToString())
    assert ended("replay", "inventory", letter_id, "--payload", str(path)) == 0
    assert available(inventory) == STOCK - 2


def test_a_replay_that_fails_again_says_why_and_leaves_it_open(
    inventory: AdminProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    assert ended("replay", "inventory", letter_id) == 1
    assert "it still cannot be decoded" in capsys.readouterr().err
    assert status(inventory, letter_id) == "open"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"order": {"orderId": ORDER_ID, "userId": "ann", "items": [{"productId": "p", "quantity": 0}]}}, "quantity"),
        ({"order": None}, "order"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_json_that_is_not_of_the_type_is_refused_with_the_field(
    changed: dict[str, object],
    said: str,
    inventory: AdminProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    letter_id = poisoned(inventory)
    assert ended("replay", "inventory", letter_id, "--json", corrected(tmp_path, **changed)) == 1
    error = capsys.readouterr().err
    assert error.startswith("this is no OrderCreated: ")
    assert said in error
    assert status(inventory, letter_id) == "open"


def test_an_edit_shows_the_difference_and_has_it_handled(
    inventory: AdminProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = OrderCreated()
    bad.CopyFrom(GOOD)
    bad.order.items[0].quantity = 2000
    letter_id = poisoned(inventory, bad.SerializeToString())
    editor(monkeypatch, "text = text.replace('2000', '3')")
    assert ended("edit", "inventory", letter_id, "--yes") == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {'-        "quantity": 2000', '+        "quantity": 3'} <= set(shown)
    assert available(inventory) == STOCK - 3


def test_an_edit_of_what_cannot_be_decoded_begins_with_all_fields_and_the_order_id(
    inventory: AdminProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter_id = poisoned(inventory)
    fill = "text = text.replace('\"quantity\": 0', '\"quantity\": 4')"
    fill += '.replace(\'"productId": ""\', \'"productId": "product-1"\')'
    editor(monkeypatch, f'{fill}.replace(\'"userId": ""\', \'"userId": "ann"\')')
    assert ended("edit", "inventory", letter_id, "--yes") == 0
    assert inventory.store.entity(f"reservation/{ORDER_ID}") is not None
    assert available(inventory) == STOCK - 4


def test_an_edit_with_a_wrong_field_names_it_and_keeps_what_was_written(
    inventory: AdminProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    editor(monkeypatch, 'text = text.replace(\'"userId": ""\', \'"userId": "ann"\')')
    assert ended("edit", "inventory", letter_id, "--yes") == 1
    lines = capsys.readouterr().err.splitlines()
    assert "order.items[0].quantity" in lines[0]
    kept = Path(lines[-1].rpartition(" --json ")[2])
    assert json.loads(kept.read_text())["order"]["userId"] == "ann"
    kept.unlink()
    assert status(inventory, letter_id) == "open"


@pytest.mark.parametrize(("code", "said"), [("pass", "nothing was changed"), ("sys.exit(3)", "it ended with 3")])
def test_an_edit_without_a_change_or_with_an_editor_that_fails_replays_nothing(
    code: str,
    said: str,
    inventory: AdminProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = OrderCreated()
    late.CopyFrom(GOOD)
    letter_id = poisoned(inventory, late.SerializeToString(), ce_id=b"")
    editor(monkeypatch, code)
    assert ended("edit", "inventory", letter_id, "--yes") == 1
    assert said in capsys.readouterr().err
    assert status(inventory, letter_id) == "open"


def test_discarding_says_what_that_means_asks_and_is_final(
    inventory: AdminProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    answers = tmp_path / "answers"
    answers.write_text("n\n")
    with answers.open() as no:
        monkeypatch.setattr(sys, "stdin", no)
        assert ended("discard", "inventory", letter_id) == 1
    assert status(inventory, letter_id) == "open"
    assert "the order gets no further" in capsys.readouterr().out
    assert ended("discard", "inventory", letter_id, "--yes") == 0
    assert status(inventory, letter_id) == "discarded"
    assert ended("discard", "inventory", letter_id, "--yes") == 0
    assert "it was discarded before: nothing was done" in capsys.readouterr().out
    assert ended("replay", "inventory", letter_id, "--json", corrected(tmp_path)) == 1
    assert "was discarded: it cannot be replayed" in capsys.readouterr().err
    assert ended("edit", "inventory", letter_id) == 1
    assert "is not open any more: discarded" in capsys.readouterr().err
    assert available(inventory) == STOCK


def test_what_was_replayed_cannot_be_discarded(
    inventory: AdminProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_id = poisoned(inventory)
    assert ended("replay", "inventory", letter_id, "--json", corrected(tmp_path)) == 0
    assert ended("discard", "inventory", letter_id, "--yes") == 1
    assert "is not open any more: replayed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "inventory", "nope"), "inventory has no dead letter nope"),
        (("replay", "inventory", "nope"), "inventory has no dead letter nope"),
        (("discard", "inventory", "nope", "--yes"), "inventory has no dead letter nope"),
        (("show", "warehouse", "nope"), "there is no service 'warehouse'; there is order, inventory"),
        (("list", "warehouse"), "there is no service 'warehouse'"),
        (("show", "order", "nope"), "(order): start it with `make run`"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: tuple[str, ...], said: str, inventory: AdminProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inventory.admin_port
    assert ended(*arguments) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_a_file_that_is_not_there_is_said(inventory: AdminProcess, capsys: pytest.CaptureFixture[str]) -> None:
    letter_id = poisoned(inventory)
    assert ended("replay", "inventory", letter_id, "--json", "/nowhere/at/all") == 1
    assert "/nowhere/at/all cannot be read" in capsys.readouterr().err
    assert ended("replay", "inventory", letter_id, "--json", "a", "--payload", "b") == 2
