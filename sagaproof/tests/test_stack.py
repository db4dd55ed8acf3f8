"""The shop's processes: their ports, and what they are told."""

from pathlib import Path

import pytest

from sagaproof import jars
from sagaproof.settings import Settings
from sagaproof.stack import Stack, the_shop


@pytest.fixture(autouse=True)
def _jars_are_there(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    def nothing(_home: Path) -> list[jars.Jar]:
        return []

    monkeypatch.setattr(jars, "missing", nothing)


def shop(tmp_path: Path, **environ: str) -> Stack:
    return the_shop(Settings.from_env({"SAGAPROOF_HOME": str(tmp_path), **environ}))


def test_every_service_has_its_contract_ports_and_a_name_of_its_own(tmp_path: Path) -> None:
    parts = {part.spec.name: part for part in shop(tmp_path).parts}
    assert (parts["order"].grpc, parts["order"].admin, parts["order"].http) == (9051, 9151, 9251)
    assert (parts["status"].grpc, parts["status"].admin, parts["status"].http) == (9056, 9156, 9256)
    assert (parts["marketing"].grpc, parts["marketing"].admin, parts["marketing"].http) == (9057, 9157, 9257)
    env = parts["payment"].spec.env
    assert env["INSTANCE"] == "payment-0"
    assert env["DATABASE_URL"] == f"sqlite:///{tmp_path}/data/payment.db"
    assert parts["gateway"].spec.env["STATUS_ADDRESS"] == "127.0.0.1:9056"
    ports = [port for part in parts.values() for port in part.listens]
    assert len(set(ports)) == len(ports)
    assert max(ports) < 32768


def test_what_the_user_exports_reaches_the_services_but_cannot_open_them_to_the_network(tmp_path: Path) -> None:
    parts = shop(tmp_path, DELIVERY_STEP_S="0.1", HOST="0.0.0.0", CATALOGUE="mine.json").parts  # noqa: S104
    shipping = next(part for part in parts if part.spec.name == "shipping").spec.env
    assert shipping["DELIVERY_STEP_S"] == "0.1"
    assert shipping["CATALOGUE"] == str(Path("mine.json").absolute())
    assert all(part.spec.env["HOST"] == "127.0.0.1" for part in parts if part.spec.name != "kafka")


def test_a_given_kafka_is_used_and_none_is_started(tmp_path: Path) -> None:
    stack = shop(tmp_path, KAFKA_BOOTSTRAP_SERVERS="kafka.example:9092")
    assert "kafka" not in {part.spec.name for part in stack.parts}
    assert {part.spec.env.get("KAFKA_BOOTSTRAP_SERVERS") for part in stack.parts} == {"kafka.example:9092"}


def test_a_second_shop_can_stand_beside_the_first(tmp_path: Path) -> None:
    stack = shop(tmp_path, SAGAPROOF_BASE_PORT="12050", PORT="12080")
    assert stack.gateway == "http://127.0.0.1:12080"
    assert {part.spec.name: part.grpc for part in stack.parts if part.grpc}["order"] == 12051


def test_all_of_it_has_to_end_within_15_s(tmp_path: Path) -> None:
    longest = {part.spec.stage: part.spec.stop_s for part in shop(tmp_path).parts}
    assert sum(longest.values()) < 15
