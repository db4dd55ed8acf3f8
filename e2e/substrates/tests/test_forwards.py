"""Which pod a port leads to, and when it has to lead there anew."""

from __future__ import annotations

from typing import Any

from e2e.substrates.forwards import NAME_LABEL, lives


def pod(name: str, label: str = "", *containers: tuple[str, bool]) -> dict[str, Any]:
    """containers: the id of each, and whether it is ready"""
    statuses = [{"containerID": key, "ready": ready} for key, ready in containers]
    metadata = {"name": name, **({"labels": {NAME_LABEL: label}} if label else {})}
    return {"metadata": metadata, "status": {"containerStatuses": statuses} if statuses else {}}


def test_of_a_deployments_pods_one_that_is_ready_is_taken() -> None:
    pods = [pod("gateway-a", "gateway", ("1", True)), pod("gateway-b", "gateway", ("2", False))]
    for listed in (pods, pods[::-1]):
        assert dict(lives(listed))["gateway"].pod == "gateway-a"


def test_a_pod_that_is_somebody_elses_is_no_obstacle() -> None:
    found = dict(lives([pod("debug", "", ("1", True)), pod("order-0", "order", ("2", True)), pod("pending", "order")]))
    assert found["order"].pod == "order-0"
    assert "pending" not in found


def test_a_pod_is_ready_with_all_its_containers_and_another_one_once_any_was_started_again() -> None:
    before, one_away, after = (
        dict(lives([pod("order-0", "order", ("sidecar", True), (key, ready))]))["order-0"]
        for key, ready in (("1", True), ("1", False), ("2", True))
    )
    assert (before.is_ready, one_away.is_ready) == (True, False)
    assert before.containers == one_away.containers != after.containers
