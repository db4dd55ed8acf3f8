"""What a deployment makes of manifests before a cluster is asked. What it does to one: e2e/test_deployments.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8s.rendering import containers, name_of, pod_template
from sagaproof import manifests
from sagaproof.cli import main
from sagaproof.cluster import OVERLAYS
from sagaproof.deploy import shown
from sagaproof.errors import CommandError, Refused, Unreachable
from sagaproof.rollout import Progress, progress
from sagaproof.smoke import once_it_answers

DIGEST = "sha256:" + "1" * 64
IMAGES = {name: f"registry.example:5000/shop/{name}@{DIGEST}" for name in ("services", "gateway")}


def images(rendered: list[dict[str, Any]]) -> set[str]:
    templates = filter(None, map(pod_template, rendered))
    return {each["image"] for template in templates for each in containers(template)}


def test_published_images_take_the_place_of_an_overlays_own_and_no_other_image_changes() -> None:
    assert images(manifests.render(OVERLAYS / "plain", IMAGES)) == {
        *IMAGES.values(),
        "apache/kafka:4.3.1",
        "postgres:17",
    }


def test_nothing_that_may_hold_data_is_deleted_because_an_overlay_has_it_no_longer() -> None:
    found = manifests.render(OVERLAYS / "plain")
    deleted = [name_of(each) for each in found if not manifests.may_hold_data(each)]
    assert {"StatefulSet/order", "Deployment/gateway", "Service/kafka"} <= set(deleted)
    assert not {"StatefulSet/kafka", "StatefulSet/postgres", "Namespace/sagaproof"} & set(deleted)


def test_an_overlay_whose_images_are_still_to_be_named_is_not_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "up", "eks"]) == 1
    said = capsys.readouterr().err
    assert "is a placeholder" in said
    assert "--image services=ADDRESS" in said
    assert images(manifests.render(OVERLAYS / "eks", IMAGES)) == set(IMAGES.values())


def test_manifests_are_written_so_that_kubectl_does_not_take_the_first_for_json_and_stumble_at_the_second() -> None:
    rendered = manifests.render(OVERLAYS / "plain")
    text = manifests.text(rendered)
    assert text.startswith("---\n{")
    assert manifests.read(text) == rendered


@pytest.mark.parametrize("address", ["shop/services", "registry.example:5000/services", "shop/services:latest"])
def test_an_image_that_may_be_another_one_tomorrow_is_refused(address: str) -> None:
    with pytest.raises(CommandError, match="may be another image tomorrow"):
        manifests.render(OVERLAYS / "plain", {"services": address})


@pytest.mark.parametrize("given", ["service=x:1", "services", "services="])
def test_an_image_is_given_by_name_and_address(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "up", "plain", "--image", given]) == 1
    assert "services=ADDRESS or gateway=ADDRESS" in capsys.readouterr().err


def test_a_job_is_due_again_when_what_it_is_made_of_has_changed_and_not_before() -> None:
    def specs(**given: str) -> dict[str, str]:
        rendered = manifests.render(OVERLAYS / "plain", given)
        return {
            name_of(each): each["metadata"]["annotations"][manifests.SPEC]
            for each in filter(manifests.is_job, rendered)
        }

    before = specs()
    assert set(before) == {"Job/databases", "Job/topics"}
    assert specs() == before
    assert not set(specs(services="sagaproof/services:2").values()) & set(before.values())


@pytest.mark.parametrize("overlay", ["plain", "kind", "eks"])
def test_the_shop_is_its_services_and_the_gateway_and_not_what_they_stand_on(overlay: str) -> None:
    rendered = manifests.render(OVERLAYS / overlay, IMAGES)
    shop = {name_of(each) for each in rendered if manifests.is_shop(each)}
    assert shop == {
        "Deployment/gateway",
        *(
            f"StatefulSet/{n}"
            for n in ("order", "inventory", "payment", "shipping", "notification", "status", "marketing")
        ),
    }
    assert manifests.namespace_of(rendered) == "sagaproof"


def test_an_overlay_in_two_namespaces_is_refused(tmp_path: Path) -> None:
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: here}\n"
    (tmp_path / "some.yaml").write_text(f"{one}---\n{one.replace('here', 'there')}")
    (tmp_path / "kustomization.yaml").write_text("resources: [some.yaml]\n")
    with pytest.raises(CommandError, match="one namespace, and names here, there"):
        manifests.namespace_of(manifests.render(tmp_path))


def test_a_gateway_that_says_503_is_asked_again_before_a_deployment_is_taken_back() -> None:
    answers: list[Exception | bytes] = [
        Unreachable("nothing answers"),
        Refused("the order service does not answer"),
        b"{}",
    ]

    def call() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert once_it_answers(call) == b"{}"


def workload(kind: str, wanted: int, **status: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"generation": 2},
        "spec": {"replicas": wanted},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (workload("StatefulSet", 2, replicas=2, updatedReplicas=2, availableReplicas=2), Progress(2, 2)),
        # The new one may be the one that is not available.
        (workload("StatefulSet", 2, replicas=2, updatedReplicas=1, availableReplicas=1), Progress(0, 2)),
        (workload("StatefulSet", 2, replicas=2, updatedReplicas=1, availableReplicas=2), Progress(1, 2)),
        (
            workload("StatefulSet", 2, observedGeneration=1, replicas=2, updatedReplicas=2, availableReplicas=2),
            Progress(0, 2),
        ),
        (workload("StatefulSet", 2), Progress(0, 2)),
        # An old pod is still there beside two new ones.
        (workload("Deployment", 2, replicas=3, updatedReplicas=2, availableReplicas=3), Progress(1, 2)),
        (workload("Deployment", 2, replicas=2, updatedReplicas=2, availableReplicas=2), Progress(2, 2)),
        (workload("Deployment", 0), Progress(0, 0)),
    ],
)
def test_a_workload_is_up_when_all_its_pods_are_new_and_ready_and_no_old_one_is_left(
    found: dict[str, Any], expected: Progress
) -> None:
    assert progress(found) == expected


def test_of_what_is_new_the_name_is_shown_and_of_what_changes_the_lines() -> None:
    folder = "/tmp/LIVE-1/v1.ConfigMap.sagaproof"  # noqa: S108  as kubectl says it
    new = f"--- {folder}.new\t2026\n+++ {folder}.new\t2026\n@@ -0,0 +1,2 @@\n+apiVersion: v1\n+kind: ConfigMap\n"
    changed = f"--- {folder}.old\t2026\n+++ {folder}.old\t2026\n@@ -1,2 +1,2 @@\n-a: 1\n+a: 2\n"
    assert shown(new) == ["new v1.ConfigMap.sagaproof.new"]
    assert shown(changed) == ["changed v1.ConfigMap.sagaproof.old", "  @@ -1,2 +1,2 @@", "  -a: 1", "  +a: 2"]
