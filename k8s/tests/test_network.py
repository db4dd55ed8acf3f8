"""The NetworkPolicies as a graph: who may reach whom is who talks to whom in the code, and no more."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from k8s.generate import OPERATOR, callers
from k8s.rendering import Manifest, pod_template, rendered
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS, HTTP_OFFSET
from services.topics import SERVICES

Labels = Mapping[str, str]


class Edge(NamedTuple):
    source: str
    target: str
    port: int


class Pod(NamedTuple):
    """Of some workload, here or of an operator; ports by name."""

    labels: Labels
    ports: Mapping[str, int]


def test_on_a_plain_cluster_the_edges_are_those_of_the_code() -> None:
    assert edges("plain") == {
        *calls("plain"),
        *by_the_operator("plain"),
        *(Edge(service, "kafka", 9092) for service in services("plain")),
        *(Edge(service, "postgres", 5432) for service in services("plain")),
        Edge("topics", "kafka", 9092),
        Edge("databases", "postgres", 5432),
        Edge(OPERATOR, "kafka", 9092),
        Edge(OPERATOR, "postgres", 5432),
    }


def test_on_kind_kafka_is_strimzis_and_reached_over_tls_alone() -> None:
    assert edges("kind") == {
        *calls("kind"),
        *by_the_operator("kind"),
        *(Edge(service, "strimzi", 9093) for service in (*services("kind"), OPERATOR)),
        *(Edge(service, "postgres", 5432) for service in services("kind")),
        Edge("databases", "postgres", 5432),
        Edge(OPERATOR, "postgres", 5432),
    }


def test_on_eks_kafka_is_reached_over_tls_alone() -> None:
    assert edges("eks") == {
        *calls("eks"),
        *by_the_operator("eks"),
        *(Edge(service, "strimzi", 9093) for service in (*services("eks"), OPERATOR)),
        *(Edge(service, "cloudnative-pg", 5432) for service in services("eks")),
        Edge("databases", "cloudnative-pg", 5432),
    }


@pytest.mark.parametrize("overlay", ["plain", "kind", "eks"])
def test_clients_reach_the_gateway_and_nothing_else(overlay: str) -> None:
    from_anywhere = {
        (name, port)
        for name, pod in pods(overlay).items()
        for policy in policies(overlay, pod, "Ingress")
        for rule in policy["spec"].get("ingress", [])
        if "from" not in rule
        for port in allowed(rule, pod)
    }
    assert from_anywhere == {("gateway", 8080)}


@pytest.mark.parametrize("overlay", ["plain", "kind", "eks"])
def test_of_other_namespaces_only_dns_is_asked_and_only_prometheus_asks(overlay: str) -> None:
    there = {
        (direction, peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
        for pod in pods(overlay).values()
        for direction in ("Ingress", "Egress")
        for policy in policies(overlay, pod, direction)
        for rule in policy["spec"].get(direction.lower(), [])
        for peer in rule.get("from" if direction == "Ingress" else "to", [])
        if "namespaceSelector" in peer
    }
    prometheus = {("Ingress", "monitoring")} if overlay == "eks" else set[tuple[str, str]]()
    assert there == {("Egress", "kube-system"), *prometheus}


def calls(overlay: str) -> set[Edge]:
    asked = callers()
    return {Edge(caller, service, GRPC_PORTS[service]) for service in services(overlay) for caller in asked[service]}


def by_the_operator(overlay: str) -> set[Edge]:
    """A person's pod, which may use every listener."""
    offsets = (0, ADMIN_OFFSET, HTTP_OFFSET)
    listeners = {Edge(OPERATOR, name, GRPC_PORTS[name] + offset) for name in services(overlay) for offset in offsets}
    return {*listeners, Edge(OPERATOR, "gateway", 8080)}


def services(overlay: str) -> list[str]:
    return [name for name in SERVICES if name in pods(overlay)]


def edges(overlay: str) -> set[Edge]:
    """What is allowed at both ends. An operator's own pods are closed by the operator: here they let everybody in."""
    there = {**pods(overlay), **_OF_OPERATORS}
    return {
        Edge(source, target, port)
        for source, sender in there.items()
        for target, receiver in there.items()
        if source != target and source not in _OF_OPERATORS
        for port in leaving(overlay, sender, receiver) & entering(overlay, receiver, sender)
        if not (target == "gateway" and source != OPERATOR)  # which is open to all, and so says nothing of who calls it
    }


def leaving(overlay: str, sender: Pod, receiver: Pod) -> set[int]:
    rules = [rule for policy in policies(overlay, sender, "Egress") for rule in policy["spec"].get("egress", [])]
    return {port for rule in rules if _names(rule["to"], receiver) for port in allowed(rule, receiver)}


def entering(overlay: str, receiver: Pod, sender: Pod) -> set[int]:
    if receiver in _OF_OPERATORS.values():
        return set(receiver.ports.values())
    rules = [rule for policy in policies(overlay, receiver, "Ingress") for rule in policy["spec"].get("ingress", [])]
    open_to = (rule for rule in rules if "from" not in rule or _names(rule["from"], sender))
    return {port for rule in open_to for port in allowed(rule, receiver)}


def policies(overlay: str, pod: Pod, direction: str) -> list[Manifest]:
    """Those that select the pod; there must be one, or all would be allowed."""
    found = [
        each
        for each in rendered(overlay)
        if each["kind"] == "NetworkPolicy"
        and direction in each["spec"]["policyTypes"]
        and _selects(each["spec"]["podSelector"], pod.labels)
    ]
    assert found, f"nothing is denied to {pod.labels}"
    return found


def pods(overlay: str) -> dict[str, Pod]:
    """By app name, with one that a person starts."""
    found = {OPERATOR: Pod({_NAME: OPERATOR, _PART_OF: "sagaproof"}, {})}
    for manifest in rendered(overlay):
        template = pod_template(manifest)
        if template is not None:
            labels = template["metadata"]["labels"]
            ports = (port for each in template["spec"]["containers"] for port in each.get("ports", []))
            found[labels[_NAME]] = Pod(labels, {port["name"]: port["containerPort"] for port in ports})
    return found


def allowed(rule: Manifest, receiver: Pod) -> set[int]:
    if "ports" not in rule:
        return set(receiver.ports.values())
    named = (receiver.ports.get(each["port"], each["port"]) for each in rule["ports"])
    return {port for port in named if port in receiver.ports.values()}


def _names(peers: Iterable[Manifest], pod: Pod) -> bool:
    """Whether one of the peers, of the same namespace, is this pod."""
    same_namespace = (each for each in peers if "namespaceSelector" not in each)
    return any(_selects(each["podSelector"], pod.labels) for each in same_namespace)


def _selects(selector: Manifest, labels: Labels) -> bool:
    wanted: dict[str, str] = selector.get("matchLabels", {})
    expressions: list[dict[str, Any]] = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


_NAME, _PART_OF = "app.kubernetes.io/name", "app.kubernetes.io/part-of"
_OF_OPERATORS = {
    "strimzi": Pod(
        {"strimzi.io/cluster": "shop", "strimzi.io/name": "shop-kafka"}, {"plain": 9092, "tls": 9093, "admin": 9090}
    ),
    "cloudnative-pg": Pod({"cnpg.io/cluster": "postgres"}, {"postgres": 5432, "status": 8000}),
}
"""Pods that are not in our manifests: the labels that their operators give them."""
