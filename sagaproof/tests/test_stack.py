"""The shop's processes: their ports, and what they are told."""

import json
import re
from pathlib import Path

import pytest

from sagaproof import jars
from sagaproof.settings import Settings, SettingsError
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


def test_the_orchestrator_runs_in_orchestrated_mode_alone_and_every_service_is_told_the_mode(tmp_path: Path) -> None:
    assert "orchestrator" not in {part.spec.name for part in shop(tmp_path).parts}
    orchestrated = {part.spec.name: part for part in shop(tmp_path, SAGA_MODE="orchestrated").parts}
    orchestrator = orchestrated["orchestrator"]
    assert (orchestrator.grpc, orchestrator.admin, orchestrator.http) == (9058, 9158, 9258)
    told = {part.spec.env["SAGA_MODE"] for part in orchestrated.values() if part.grpc}
    assert told == {"orchestrated"}
    environment = {"SAGAPROOF_HOME": str(tmp_path), "SAGA_MODE": "choreographed"}
    assert "orchestrator" in Settings.from_env(environment, mode="orchestrated").grpc_ports, "the option is stronger"


def test_what_the_user_exports_reaches_the_services_but_cannot_open_them_to_the_network(tmp_path: Path) -> None:
    parts = shop(tmp_path, DELIVERY_STEP_S="0.1", HOST="0.0.0.0", CATALOGUE="mine.json").parts  # noqa: S104
    shipping = next(part for part in parts if part.spec.name == "shipping").spec.env
    assert shipping["DELIVERY_STEP_S"] == "0.1"
    assert shipping["CATALOGUE"] == str(Path("mine.json").absolute())
    assert all(part.spec.env["HOST"] == "127.0.0.1" for part in parts if part.http)


def test_a_given_kafka_is_used_and_none_is_started(tmp_path: Path) -> None:
    stack = shop(tmp_path, KAFKA_BOOTSTRAP_SERVERS="kafka.example:9092")
    assert "kafka" not in {part.spec.name for part in stack.parts}
    assert {part.spec.env.get("KAFKA_BOOTSTRAP_SERVERS") for part in stack.parts if part.http} == {"kafka.example:9092"}


def test_a_second_shop_can_stand_beside_the_first(tmp_path: Path) -> None:
    stack = shop(tmp_path, SAGAPROOF_BASE_PORT="12050", PORT="12080")
    assert stack.gateway == "http://127.0.0.1:12080"
    assert {part.spec.name: part.grpc for part in stack.parts if part.grpc}["order"] == 12051


def test_all_of_it_has_to_end_within_15_s(tmp_path: Path) -> None:
    longest = {part.spec.stage: part.spec.stop_s for part in shop(tmp_path).parts}
    assert sum(longest.values()) < 15


def replicated(tmp_path: Path, **environ: str) -> Stack:
    settings = Settings.from_env({"SAGAPROOF_HOME": str(tmp_path), **environ}, postgres=not environ, replicas=2)
    return the_shop(settings)


def test_a_replica_has_ports_and_names_of_its_own_and_the_database_of_its_service(tmp_path: Path) -> None:
    parts = {part.spec.name: part for part in replicated(tmp_path).parts}
    first, second = parts["order"], parts["order-1"]
    assert (second.grpc, second.admin, second.http) == (10051, 10151, 10251)
    assert (first.spec.env["INSTANCE"], second.spec.env["INSTANCE"]) == ("order-0", "order-1")
    assert (
        first.spec.env["DATABASE_URL"] == second.spec.env["DATABASE_URL"] != parts["payment"].spec.env["DATABASE_URL"]
    )
    assert first.spec.log != second.spec.log
    assert parts["gateway"].spec.env["ORDER_ADDRESS"] == "ipv4:127.0.0.1:9051,127.0.0.1:10051"


def test_a_server_is_brought_and_databases_are_made_before_any_service_starts(tmp_path: Path) -> None:
    parts = {part.spec.name: part for part in replicated(tmp_path).parts}
    assert parts["databases"].spec.after == ["postgres"]
    assert set(parts["order-1"].spec.after) == {"kafka", "postgres", "databases"}
    assert parts["postgres"].spec.stage < parts["order"].spec.stage
    urls = json.loads(parts["databases"].spec.env["DATABASE_URLS"])
    assert urls["order"] == parts["order"].spec.env["DATABASE_URL"]


def test_passwords_are_made_once_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    first, second = (replicated(tmp_path).parts[-2].spec.env["DATABASE_URL"] for _ in range(2))
    assert first == second
    assert (tmp_path / "data" / "postgres" / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_on_a_given_server_every_service_gets_a_role_of_its_own(tmp_path: Path) -> None:
    admin = "postgresql://root:secret@db.example:5433/postgres?sslmode=require"
    parts = {part.spec.name: part for part in replicated(tmp_path, DATABASE_URL=admin).parts}
    assert "postgres" not in parts
    assert parts["databases"].spec.env["DATABASE_ADMIN_URL"] == admin
    url = parts["payment"].spec.env["DATABASE_URL"]
    assert re.fullmatch(
        r"postgresql://sagaproof_payment:[\w-]{20,}@db\.example:5433/sagaproof_payment\?sslmode=require", url
    )
    assert (tmp_path / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_replicas_are_refused_where_one_process_has_to_be_the_only_writer(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SQLite file has one writer"):
        Settings.from_env({"SAGAPROOF_HOME": str(tmp_path)}, replicas=2)
    with pytest.raises(SettingsError, match="from 1 to 6"):
        Settings.from_env({"SAGAPROOF_HOME": str(tmp_path)}, postgres=True, replicas=7)


def test_a_wrong_database_url_is_refused_without_showing_its_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"root:\*\*\*@db") as caught:
        Settings.from_env({"SAGAPROOF_HOME": str(tmp_path), "DATABASE_URL": "mysql://root:secret@db/x"})
    assert "secret" not in str(caught.value)
