"""kind and EKS differ in what is listed, for the reason that is listed, and in nothing else."""

import copy

import pytest

from k8s.parity import SIDES, Difference, Reason, differences, judged, reasons
from k8s.rendering import Manifest, rendered


def found(kind: list[Manifest], eks: list[Manifest]) -> list[Difference]:
    return list(differences(kind, eks))


def overlays() -> tuple[list[Manifest], list[Manifest]]:
    kind, eks = (copy.deepcopy(list(rendered(side))) for side in SIDES)
    return kind, eks


def test_every_difference_has_a_reason_and_every_reason_a_difference() -> None:
    explained, unexplained, unused = judged(found(*overlays()), reasons())
    assert (unexplained, unused) == ([], [])
    assert explained


def test_an_overlay_does_not_differ_from_itself() -> None:
    kind, _ = overlays()
    assert found(kind, kind) == []


@pytest.mark.parametrize("side", SIDES)
def test_a_difference_that_nobody_has_allowed_is_found(side: str) -> None:
    both: dict[str, list[Manifest]] = dict(zip(SIDES, overlays(), strict=True))
    order = next(each for each in both[side] if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "order")
    order["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["failureThreshold"] = 17
    _, unexplained, _ = judged(found(both["kind"], both["eks"]), reasons())
    (only,) = unexplained
    assert (only.where, only.path) == (
        "StatefulSet/order",
        "spec.template.spec.containers[order].livenessProbe.failureThreshold",
    )
    assert "17" in {only.kind, only.eks}


def test_a_manifest_that_only_one_has_is_found() -> None:
    kind, eks = overlays()
    kind = [each for each in kind if (each["kind"], each["metadata"]["name"]) != ("PodDisruptionBudget", "order")]
    _, unexplained, _ = judged(found(kind, eks), reasons())
    assert unexplained == [Difference("PodDisruptionBudget/order", "", "-", "there")]


def test_a_reason_that_nothing_needs_is_found() -> None:
    needless = Reason("StatefulSet/order", "spec.serviceName", "no reason")
    _, _, unused = judged(found(*overlays()), [*reasons(), needless])
    assert unused == [needless]


def test_a_setting_that_differs_is_found_though_its_map_has_another_name() -> None:
    kind, eks = overlays()
    settings = next(each for each in kind if "SAGA_MODE" in each.get("data", {}))
    settings["data"]["SAGA_MODE"] = "orchestrated"
    _, unexplained, _ = judged(found(kind, eks), reasons())
    assert unexplained == [Difference("ConfigMap/services", "data.SAGA_MODE", "orchestrated", "choreographed")]
