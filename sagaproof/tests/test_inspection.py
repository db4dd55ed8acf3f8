"""The pod that reads a shop from inside its cluster, for each overlay: a cluster takes it, and it is let in."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_validate import utils

from e2e.live import Asked
from k8s.generate import OPERATOR
from k8s.rendering import rendered
from sagaproof import inspection
from sagaproof.tests.test_cluster import KUBERNETES
from services.engine.kafka_access import KafkaSettings
from services.engine.settings import read

OVERLAYS = ["plain", "kind", "eks"]


def made(overlay: str) -> dict[str, Any]:
    [order] = (
        each for each in rendered(overlay) if (each["kind"], each["metadata"]["name"]) == ("StatefulSet", "order")
    )
    return inspection.pod(order["spec"]["template"]["spec"], Asked({}, {}, 60.0, 30.0))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_is_a_valid_pod_as_confined_as_the_services(overlay: str) -> None:
    pod = made(overlay)
    utils.validate(pod, KUBERNETES, strict=True)
    [container] = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["spec"]["volumes"]}
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == OPERATOR == inspection.OPERATOR, (
        "whom policies let in"
    )


@pytest.mark.parametrize("overlay", ["kind", "eks"])
def test_where_kafka_has_users_it_is_the_one_that_may_read_everything(overlay: str) -> None:
    [container] = made(overlay)["spec"]["containers"]
    user, password = container["env"]
    assert user == {"name": "KAFKA_SASL_USERNAME", "value": OPERATOR}
    assert OPERATOR in {each["metadata"]["name"] for each in rendered(overlay) if each["kind"] == "KafkaUser"}
    assert password["valueFrom"]["secretKeyRef"]["name"] == OPERATOR, "the Secret has the name of its KafkaUser"
    [settings] = (
        each
        for each in rendered(overlay)
        if each["metadata"]["name"] == container["envFrom"][0]["configMapRef"]["name"]
    )
    given = {
        **settings["data"],
        "KAFKA_SASL_USERNAME": OPERATOR,
        "KAFKA_SASL_PASSWORD": "x",
        "KAFKA_SSL_CA_FILE": __file__,
    }
    assert read(KafkaSettings, given).kafka["security.protocol"] == "SASL_SSL"
    ca = settings["data"]["KAFKA_SSL_CA_FILE"]
    assert ca.startswith(tuple(f"{each['mountPath']}/" for each in container["volumeMounts"]))
