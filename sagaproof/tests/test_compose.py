"""compose.yaml says the same as the code: ports, services, databases; and what it promises of safety."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS, HTTP_OFFSET
from services.topics import SERVICES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [*SERVICES, "gateway", "topics", "databases"]


def variables(text: str) -> str:
    """As Compose reads it where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_ports_the_name_and_the_database_that_it_has_elsewhere(service: str) -> None:
    port = GRPC_PORTS[service]
    given = CONTAINERS[service]["environment"]
    assert CONTAINERS[service]["command"] == [f"services.{service}"]
    assert given["INSTANCE"] == f"{service}-0"
    assert [given["GRPC_PORT"], given["ADMIN_PORT"], given["HTTP_PORT"]] == [
        port,
        port + ADMIN_OFFSET,
        port + HTTP_OFFSET,
    ]
    published = [variables(each) for each in CONTAINERS[service]["ports"]]
    assert published == [f"127.0.0.1:{p}:{p}" for p in (port, port + ADMIN_OFFSET, port + HTTP_OFFSET)]
    assert json.loads(CONTAINERS["databases"]["environment"]["DATABASE_URLS"])[service] == given["DATABASE_URL"]


def test_every_service_is_there_and_no_other() -> None:
    jobs_and_servers = {"gateway", "topics", "databases", "kafka", "postgres", "kafka-ui", "prometheus"}
    assert set(CONTAINERS) == {*SERVICES, *jobs_and_servers}
    assert {name for name, each in CONTAINERS.items() if "orchestrated" in each.get("profiles", [])} == {"orchestrator"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_ports_are_on_loopback_and_images_are_of_a_version(name: str) -> None:
    for port in CONTAINERS[name].get("ports", []):
        assert port.startswith("127.0.0.1:")
    assert re.search(r":(?!latest)[\w.-]+$", variables(CONTAINERS[name]["image"]))


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_may_do_nothing_that_it_need_not(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in container  # that of the image


@pytest.mark.parametrize("name", [*SERVICES, "gateway"])
def test_nothing_starts_before_its_database_and_its_topics_are_made(name: str) -> None:
    wanted = {"condition": "service_completed_successfully"}
    assert CONTAINERS[name]["depends_on"] == {"topics": wanted, "databases": wanted}
    assert CONTAINERS[name]["restart"] == "unless-stopped"


def test_data_survives_a_container() -> None:
    assert CONTAINERS["kafka"]["volumes"] == [f"kafka:{CONTAINERS['kafka']['environment']['KAFKA_LOG_DIRS']}"]
    assert CONTAINERS["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert {"kafka", "postgres"} <= set(COMPOSE["volumes"])
