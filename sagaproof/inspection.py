"""A shop in a cluster, read from inside it: a pod of its own services' image, which ends when all is read.

Nothing has to be open to the outside for it: it has the name `operator`, which may use every listener of the shop and,
where Kafka asks for users, read every topic. Its image is the one that runs, so that it knows what that has written.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import msgspec

from e2e.live import Asked, NotKnown, Said
from sagaproof.cluster import Cluster
from sagaproof.errors import CommandError
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS

OPERATOR = "operator"
STARTS_WITHIN_S = 120.0
LOOK_EVERY_S = 0.5
SERVICES = "app.kubernetes.io/component=service"
OF_SERVICES = ("image", "imagePullPolicy", "envFrom", "securityContext", "volumeMounts")
LIMITS = {"cpu": "1", "memory": "512Mi"}

_said = msgspec.json.Decoder(Said)


def ask(cluster: Cluster, rest_within_s: float, deadline_s: float, order_id: str, tell: Callable[[str], None]) -> Said:
    """A verdict, or the story of an order. Raises NotKnown, and CommandError with kubectl's words."""
    services = _services(cluster)
    asked = Asked(
        {name: f"{name}:{GRPC_PORTS[name]}" for name in services},
        {name: f"{name}-pods:{GRPC_PORTS[name] + ADMIN_OFFSET}" for name in services},
        rest_within_s,
        deadline_s,
        order_id,
    )
    last = ""
    with _running(cluster, pod(services["order"]["spec"]["template"]["spec"], asked)) as lines:
        for last in lines:
            try:
                said = _said.decode(last)
            except msgspec.DecodeError:
                continue
            if said.told is None:
                if said.not_known is not None:
                    raise NotKnown(said.not_known)
                return said
            tell(said.told)
    raise NotKnown(f"the pod that reads the shop has not come to its end: {last or 'it has said nothing'}")


def _services(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The StatefulSets of the shop, by service. Raises CommandError."""
    said = cluster.kubectl("get", "statefulsets", "--selector", SERVICES, "--output", "json")
    found = {each["metadata"]["name"]: each for each in json.loads(said)["items"]}
    if "order" not in found:
        raise CommandError(
            f"there is no shop in the namespace {cluster.namespace}",
            ["--namespace and --context say where it is; sagaproof cluster up starts one"],
        )
    return found


@contextmanager
def _running(cluster: Cluster, pod: dict[str, Any]) -> Generator[Iterator[str]]:
    """The lines that the pod says, as they come. It is gone after the block."""
    name = pod["metadata"]["name"]
    cluster.kubectl("create", "-f", "-", given=json.dumps(pod))
    try:
        _wait_until_started(cluster, name)
        command = cluster.command("logs", "--follow", name)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            try:
                yield (line.rstrip("\n") for line in process.stdout)
            finally:
                process.terminate()
    finally:
        cluster.kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false")


def _wait_until_started(cluster: Cluster, name: str) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        status = json.loads(cluster.kubectl("get", "pod", name, "--output", "json"))["status"]
        if status["phase"] != "Pending":
            return
        if time.monotonic() > deadline:
            waits = [each["state"].get("waiting", {}) for each in status.get("containerStatuses", ())]
            why = next((each.get("reason", "") for each in waits), "it is on no node")
            raise NotKnown(f"the pod that reads the shop does not start: {why}")
        time.sleep(LOOK_EVERY_S)  # between two looks at a condition


def pod(service: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """service: the spec of the pods of one, whose image, settings and confinement this has too"""
    [container] = service["containers"]
    password = {"secretKeyRef": {"name": OPERATOR, "key": "password", "optional": True}}
    user = [
        {"name": "KAFKA_SASL_USERNAME", "value": OPERATOR},
        {"name": "KAFKA_SASL_PASSWORD", "valueFrom": password},
    ]
    reader = {
        **{name: container[name] for name in OF_SERVICES},
        "name": "check",
        "args": ["e2e.live", msgspec.json.encode(asked).decode()],
        "env": user,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": LIMITS},
    }
    # All that is read is filed in `tmp`, which has no bound of its own here.
    filed: dict[str, Any] = {"name": "tmp", "emptyDir": {}}
    volumes = [each if each["name"] != "tmp" else filed for each in service["volumes"]]
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": service["securityContext"],
        "containers": [reader],
        "volumes": volumes,
    }
    labels = {"app.kubernetes.io/name": OPERATOR, "app.kubernetes.io/part-of": "sagaproof"}
    metadata = {"name": f"check-{uuid4().hex[:8]}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
