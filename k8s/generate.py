"""What the code's tables say, as manifests: `python -m k8s.generate` writes them, and a test holds them to be current.

A template in k8s/templates is filled in for each service, so that what is applied can be read as it is, and copied.
From where: the services and their ports from the launcher, topics from services/topics.py, who calls whom from the
gateway's settings, what a service may read and write on Kafka from the saga and the read models.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import Template

from gateway.settings import Settings as GatewaySettings
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS, HTTP_OFFSET
from services import saga
from services.marketing.fold import participant as marketing
from services.orchestrator.decider import participant as orchestrator
from services.status.fold import participant as status
from services.topics import PARTITIONS, SERVICES, TOPICS, Topic

ROOT = Path(__file__).resolve().parent
HEAD = "# Made by `python -m k8s.generate` from the tables of the code: do not edit.\n"
OPERATOR = "operator"
"""Pods with this name may use every listener of the shop."""
_SCALED = tuple(name for name in SERVICES if name != "orchestrator")
MODES: tuple[saga.Mode, ...] = ("choreographed", "orchestrated")


def callers() -> Mapping[str, list[str]]:
    """Who calls each service by gRPC."""
    asked = [name.removesuffix("_address") for name in GatewaySettings.model_fields if name.endswith("_address")]
    return {service: ["gateway"] if service in asked else [] for service in SERVICES}


def consumed(service: str) -> list[str]:
    """The topics that a service reads, in whatever mode."""
    others = {"orchestrator": orchestrator, "status": status, "marketing": marketing}
    if service in others:
        return sorted(others[service]().topics)
    return sorted({topic for mode in MODES for topic in saga.path_of(service, mode).topics})


def groups(service: str) -> list[str]:
    """Its consumer groups, in whatever mode."""
    if service not in saga.ORCHESTRATED:
        return [service]
    return [saga.path_of(service, mode).group for mode in MODES]


def published(service: str) -> list[str]:
    """The topics that a service writes to."""
    package = f"shop.{service}.v1."
    events = {topic for name, topic in saga.PUBLIC.items() if name.startswith(package)}
    commands = set(saga.COMMANDS.values()) if service == "orchestrator" else set[str]()
    return sorted({*events, *commands, f"{service}.dlq"})


def generated() -> dict[Path, str]:
    """Every file that is made, and what is to be in it."""
    files = {ROOT / "base/services" / f"{name}.yaml": _service(name) for name in SERVICES if name != "orchestrator"}
    return {
        **files,
        ROOT / "components/orchestrated/orchestrator.yaml": _service("orchestrator"),
        ROOT / "base/gateway.yaml": _gateway(),
        ROOT / "base/databases.yaml": _databases(),
        ROOT / "components/kafka-strimzi/topics.yaml": HEAD + "".join(map(_topic, TOPICS)),
        ROOT / "components/kafka-users/users.yaml": HEAD + "".join(map(_user, SERVICES)) + _reader(),
        ROOT / "components/cloudnative-pg/cluster.yaml": _cluster(),
        ROOT / "components/cloudnative-pg/databases.yaml": HEAD + "".join(map(_named("database.yaml"), SERVICES)),
        ROOT / "components/autoscaling/services.yaml": HEAD + "".join(map(_scaled, _SCALED)),
        ROOT / "components/external-secrets/secrets.yaml": HEAD
        + "".join(map(_named("external-secret.yaml"), SERVICES)),
    }


def _filled(template: str, values: Mapping[str, object]) -> str:
    return Template((ROOT / "templates" / template).read_text()).substitute(values)


def _service(name: str) -> str:
    port = GRPC_PORTS[name]
    return _filled(
        "service.yaml",
        {
            "name": name,
            "grpc_port": port,
            "admin_port": port + ADMIN_OFFSET,
            "http_port": port + HTTP_OFFSET,
            "callers": ", ".join((*callers()[name], OPERATOR)),
        },
    )


def _gateway() -> str:
    called = [service for service, by in callers().items() if "gateway" in by]
    addresses = (f'- {{name: {name.upper()}_ADDRESS, value: "dns:///{name}:{GRPC_PORTS[name]}"}}' for name in called)
    edges = (
        f"- {{to: [{{podSelector: {{matchLabels: {{app.kubernetes.io/name: {name}}}}}}}], ports: [{{port: grpc}}]}}"
        for name in called
    )
    return _filled("gateway.yaml", {"addresses": _lines(12, addresses), "edges": _lines(4, edges)})


def _databases() -> str:
    def password(name: str) -> str:
        return f"{name.upper()}_PASSWORD"

    def secret(name: str) -> str:
        return f"{{name: {password(name)}, valueFrom: {{secretKeyRef: {{name: {name}-database, key: password}}}}}}"

    def url(name: str) -> str:
        who = f"sagaproof_{name}:$({password(name)})"
        return f'"{name}": "postgresql://{who}@$(DATABASE_SERVER)/sagaproof_{name}$(DATABASE_OPTIONS)"'

    return _filled(
        "databases.yaml",
        {
            "passwords": _lines(12, (f"- {secret(name)}" for name in SERVICES)),
            "urls": f",\n{' ' * 16}".join(map(url, SERVICES)),
        },
    )


def _topic(topic: Topic) -> str:
    config = _lines(4, (f'{name}: "{value}"' for name, value in topic.config.items()))
    return _filled("topic.yaml", {"name": topic.name, "partitions": topic.partitions, "config": config})


def _user(service: str) -> str:
    rules = [
        *((f"type: topic, name: {topic}", "Read, Describe") for topic in consumed(service)),
        *((f"type: topic, name: {topic}", "Write, Describe") for topic in published(service)),
        *((f"type: group, name: {group}", "Read, Describe") for group in groups(service)),
    ]
    return _filled("user.yaml", {"name": service, "acls": _acls(rules)})


def _reader() -> str:
    """Who reads everything and writes nothing: `sagaproof check`."""
    topics = [(f"type: topic, name: {topic.name}", "Read, Describe") for topic in TOPICS]
    return _filled("user.yaml", {"name": OPERATOR, "acls": _acls([*topics, ("type: group, name: history", "Read")])})


def _acls(rules: Iterable[tuple[str, str]]) -> str:
    return _lines(6, (f"- {{resource: {{{resource}}}, operations: [{operations}]}}" for resource, operations in rules))


def _cluster() -> str:
    roles = (
        f"- {{name: sagaproof_{name}, login: true, passwordSecret: {{name: {name}-database}}}}" for name in SERVICES
    )
    return _filled("cluster.yaml", {"roles": _lines(6, roles)})


def _scaled(service: str) -> str:
    triggers = (_filled("trigger.yaml", {"name": service, "group": group}) for group in groups(service))
    values = {"name": service, "partitions": PARTITIONS, "triggers": "".join(triggers).rstrip()}
    return _filled("scaled.yaml", values) + _filled("scaler.yaml", values)


def _named(template: str) -> Callable[[str], str]:
    return lambda name: _filled(template, {"name": name})


def _lines(indent: int, lines: Iterable[str]) -> str:
    return "\n".join(" " * indent + line for line in lines)


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
