"""What mutants of PostgreSQL are tried on is right without them: two replicas of every service, at the same work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from e2e.mutants import replicas
from e2e.mutants.histories import Finding
from e2e.mutants.servers import Servers
from services.saga import Mode

SHOPS = 1
pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Mapping[str, str]]:
    with Servers() as servers:
        yield servers.environment("replicas")


@pytest.mark.parametrize("mode", ["choreographed", "orchestrated"])
def test_two_replicas_of_every_service_do_no_harm_to_each_other(postgres: Mapping[str, str], mode: Mode) -> None:
    found = replicas.look(mode, postgres[replicas.ADMIN], postgres[replicas.TEMPLATE], SHOPS)
    assert found == Finding(said=f"nothing was found in {SHOPS} shops")
