"""Every manifest of every overlay: valid for Kubernetes 1.36 and operators, restricted, bounded, true to the code."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from kubernetes_validate import utils

from k8s.generate import generated
from k8s.rendering import Manifest, containers, name_of, pod_template, rendered
from k8s.schemas import definitions

OVERLAYS = ("plain", "kind", "eks")
KUBERNETES = "1.36"


def manifests(overlay: str, kind: str) -> list[Manifest]:
    return [each for each in rendered(overlay) if each["kind"] == kind]


def validate(manifest: Manifest) -> None:
    """Strictly: what no schema names is refused."""
    definition = definitions().get((manifest["apiVersion"], manifest["kind"]))
    if definition is not None:
        checker: Any = jsonschema.Draft202012Validator(definition)
        checker.validate(manifest)
    else:
        utils.validate(manifest, KUBERNETES, strict=True)


def workloads() -> Iterator[tuple[str, Manifest, Manifest]]:
    """Each workload of each overlay with its pods."""
    for overlay in OVERLAYS:
        for manifest in rendered(overlay):
            if (template := pod_template(manifest)) is not None:
                yield f"{overlay}: {name_of(manifest)}", manifest, template


def test_what_is_made_from_the_tables_of_the_code_is_current() -> None:
    stale = [str(path) for path, text in generated().items() if not path.exists() or path.read_text() != text]
    assert stale == [], "run: python -m k8s.generate"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_valid(overlay: str) -> None:
    for manifest in rendered(overlay):
        try:
            validate(manifest)
        except (jsonschema.ValidationError, utils.SchemaNotFoundError) as error:
            pytest.fail(f"{name_of(manifest)}: {error.message}")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("StatefulSet", ("spec", "template", "spec")),
        ("Kafka", ("spec", "kafka")),
        ("KafkaNodePool", ("spec",)),
        ("KafkaUser", ("spec", "authorization")),
        ("Cluster", ("spec", "postgresql")),
        ("ScaledObject", ("spec",)),
    ],
)
def test_a_field_that_does_not_exist_is_found(kind: str, path: tuple[str, ...]) -> None:
    wrong = copy.deepcopy(manifests("eks", kind)[0])
    place = wrong
    for step in path:
        place = place[step]
    place["replicasss"] = 1
    with pytest.raises(jsonschema.ValidationError, match="replicasss"):
        validate(wrong)


def test_every_image_is_pinned_and_on_eks_by_its_digest() -> None:
    for where, _, template in workloads():
        for container in containers(template):
            image = container["image"]
            assert re.search(r":(?!latest$)[\w.-]+$|@sha256:[0-9a-f]{64}$", image), (where, image)
            assert "@sha256:" in image or not where.startswith("eks"), (where, image)


def test_no_password_is_in_a_manifest() -> None:
    for overlay in OVERLAYS:
        assert manifests(overlay, "Secret") == []
        settings = [each["data"] for each in manifests(overlay, "ConfigMap")]
        assert [key for data in settings for key in data if "PASSWORD" in key] == []
    for where, _, template in workloads():
        for container in containers(template):
            for each in container.get("env", []):
                if "PASSWORD" in each["name"]:
                    assert "secretKeyRef" in each["valueFrom"], (where, each["name"])


def test_every_pod_is_as_restricted_as_pod_security_can_ask() -> None:
    for where, _, template in workloads():
        pod = template["spec"]["securityContext"]
        assert pod["runAsNonRoot"] is True, where
        assert pod["runAsUser"] > 0, where
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert template["spec"]["automountServiceAccountToken"] is False, where
        assert {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}.isdisjoint(template["spec"]), where
        allowed = {"configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected"}
        assert all(allowed & set(volume) for volume in template["spec"].get("volumes", [])), where
        for container in containers(template):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert not any("hostPort" in port for port in container.get("ports", [])), where
    for overlay in OVERLAYS:
        (namespace,) = manifests(overlay, "Namespace")
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_kafka_may_write_to_its_own_root() -> None:
    writable = {
        where.split(": ")[1]
        for where, _, template in workloads()
        for container in containers(template)
        if not container["securityContext"].get("readOnlyRootFilesystem")
    }
    assert writable == {"StatefulSet/kafka"}


def test_every_container_asks_for_what_it_needs_and_has_a_limit() -> None:
    for where, _, template in workloads():
        for container in containers(template):
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, where
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}, where
        for volume in template["spec"].get("volumes", []):
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], (where, volume["name"])


def test_everything_that_serves_has_probes_and_time_to_go() -> None:
    for where, workload, template in workloads():
        if workload["kind"] == "Job":
            continue
        for container in containers(template):
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), where
        if template["metadata"]["labels"]["app.kubernetes.io/component"] in {"service", "gateway"}:
            sleep_s = template["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert template["spec"]["terminationGracePeriodSeconds"] >= sleep_s + 10, where


def test_a_service_is_not_restarted_for_what_its_database_or_kafka_does() -> None:
    for where, _, template in workloads():
        if template["metadata"]["labels"]["app.kubernetes.io/component"] == "service":
            (container,) = containers(template)
            assert container["livenessProbe"]["grpc"]["service"] == "liveness", where
            assert container["readinessProbe"]["grpc"]["service"] == "readiness", where


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_scaled_has_one_scaler_and_no_number_of_its_own(overlay: str) -> None:
    scalers = manifests(overlay, "HorizontalPodAutoscaler") + manifests(overlay, "ScaledObject")
    targets = [(each["spec"]["scaleTargetRef"]["kind"], each["spec"]["scaleTargetRef"]["name"]) for each in scalers]
    assert len(targets) == len(set(targets))
    there = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in rendered(overlay) if "spec" in each}
    assert [target for target in targets if "replicas" in there[target]] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_secret_and_setting_that_is_asked_for_is_there_or_made_by_cluster_up(overlay: str) -> None:
    from sagaproof.cluster import ROLES  # noqa: PLC0415  the command imports a lot

    maps = {each["metadata"]["name"]: each["data"] for each in manifests(overlay, "ConfigMap")}
    for where, _, template in workloads():
        if not where.startswith(f"{overlay}:"):
            continue
        for container in containers(template):
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps, where
            for each in container.get("env", []):
                asked = each.get("valueFrom", {})
                if "configMapKeyRef" in asked:
                    assert asked["configMapKeyRef"]["key"] in maps[asked["configMapKeyRef"]["name"]], where
                if "secretKeyRef" in asked and not asked["secretKeyRef"].get("optional"):
                    assert asked["secretKeyRef"]["name"] in ROLES, where


def test_faults_can_be_injected_nowhere_near_customers() -> None:
    assert {_settings("eks")["FAULTS"], _settings("plain")["FAULTS"]} == {"0", "1"}
    assert _settings("eks")["FAULTS"] == "0"


def test_on_eks_every_record_has_three_copies_of_which_two_are_there_before_it_is_acknowledged() -> None:
    for topic in manifests("eks", "KafkaTopic"):
        assert topic["spec"]["replicas"] == 3, name_of(topic)
        assert topic["spec"]["config"]["min.insync.replicas"] == "2", name_of(topic)
    (kafka,) = manifests("eks", "Kafka")
    assert [listener["tls"] for listener in kafka["spec"]["kafka"]["listeners"]] == [True]
    pools = {each["metadata"]["name"]: each["spec"] for each in manifests("eks", "KafkaNodePool")}
    assert {name: (spec["replicas"], spec["roles"]) for name, spec in pools.items()} == {
        "controller": (3, ["controller"]),
        "broker": (3, ["broker"]),
    }
    volumes = [volume for spec in pools.values() for volume in spec["storage"]["volumes"]]
    assert not any(volume["deleteClaim"] for volume in volumes)
    (storage,) = manifests("eks", "StorageClass")
    assert storage["reclaimPolicy"] == "Retain"
    assert {volume["class"] for volume in volumes} == {storage["metadata"]["name"]}


def _settings(overlay: str) -> Any:
    (found,) = (each["data"] for each in manifests(overlay, "ConfigMap") if "SAGA_MODE" in each["data"])
    return found
