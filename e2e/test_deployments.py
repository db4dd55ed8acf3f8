"""On Kubernetes, a deployment that fails leaves the shop as it was, and one that is refused has not begun.

In a namespace of its own, deployed by what `sagaproof cluster up` calls. What fails leaves the last good one behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.checks import CHECKS
from sagaproof import cli_check, manifests, smoke
from sagaproof.cluster import OVERLAYS, Cluster
from sagaproof.deploy import changes, deploy
from sagaproof.errors import CommandError

if TYPE_CHECKING:
    from k8s.rendering import Manifest

NAMESPACE = "sagaproof-deployments"
TEST_WITHIN_S = 600
UP_WITHIN_S = 240.0

_OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [{plain}]
images: [{{name: sagaproof/services, newTag: {tag}}}, {{name: sagaproof/gateway, newTag: {tag}}}]
patches:
  # The port of another shop in this cluster is not taken.
  - target: {{kind: Service, name: gateway}}
    patch: |
      - {{op: remove, path: /spec/ports/0/nodePort}}
      - {{op: replace, path: /spec/type, value: ClusterIP}}
"""
QUIET = """\
configMapGenerator:
  - {name: services, behavior: merge, literals: [LOG_LEVEL=WARNING]}
"""
NOWHERE = """\
images: [{name: sagaproof/services, newTag: nowhere}]
"""
NO_BROKER = """\
images: [{name: apache/kafka, newTag: nowhere}]
"""
WRONG_SETTING = """\
configMapGenerator:
  - {name: services, behavior: merge, literals: [LOG_LEVEL=LOUD]}
"""
MISSPELT = """\
patches:
  - target: {kind: StatefulSet, name: shipping}
    patch: |
      - {op: add, path: /spec/template/spec/containers/0/imagePullPolice, value: Always}
  - target: {kind: StatefulSet, name: order}
    patch: |
      - {op: replace, path: /spec/replicas, value: 3}
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.prove,
    pytest.mark.only_on("kubernetes"),
    pytest.mark.timeout(TEST_WITHIN_S),
]

Rendered = Callable[[str], "list[Manifest]"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The overlay `plain` with something more, by its lines of a kustomization."""

    def render(more: str) -> list[Manifest]:
        first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
        plain = os.path.relpath(OVERLAYS / "plain", first)  # Kustomize takes no absolute one
        tag = os.environ.get("IMAGE_TAG", "dev")
        _write(first, _OVERLAY.format(namespace=NAMESPACE, plain=plain, tag=tag))
        _write(second, _OVERLAY.partition("images:")[0].format(namespace=NAMESPACE, plain=f"../{first.name}") + more)
        return manifests.render(second)

    return render


def _write(folder: Path, text: str) -> None:
    (folder / "kustomization.yaml").write_text(text)


@pytest.fixture(scope="module")
def deployed(rendered: Rendered) -> Iterator[Cluster]:
    """Deployed for the first time."""
    cluster = Cluster(NAMESPACE)
    cluster.down()
    try:
        deploy(cluster, rendered(""), print, UP_WITHIN_S)
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def updated(deployed: Cluster, rendered: Rendered) -> Cluster:
    """With a change that went well, so that this is the last good deployment, and not the first one."""
    before = specs(deployed)
    [old] = settings(deployed)
    assert f"gone {old}" in changes(deployed, rendered(QUIET))
    deploy(deployed, rendered(QUIET), print, UP_WITHIN_S)
    assert specs(deployed) != before
    assert len(settings(deployed)) == 1
    assert settings(deployed) != [old]
    return deployed


def test_a_second_deployment_of_the_same_changes_nothing(deployed: Cluster, rendered: Rendered) -> None:
    before = pods(deployed)
    assert changes(deployed, rendered("")) == ["nothing is to be changed"]
    deploy(deployed, rendered(""), print, UP_WITHIN_S)
    assert pods(deployed) == before


def test_a_dry_run_shows_what_differs_and_changes_nothing(deployed: Cluster, rendered: Rendered) -> None:
    before, said = specs(deployed), list[str]()
    deploy(deployed, rendered(WRONG_SETTING), said.append, UP_WITHIN_S, dry_run=True)
    shown = "\n".join(said)
    assert "changed apps.v1.StatefulSet.sagaproof-deployments.order" in shown
    assert "new v1.ConfigMap.sagaproof-deployments.services-" in shown
    assert "again Job/databases" in shown
    assert said[-1] == "a dry run: nothing was changed"
    assert specs(deployed) == before


def test_what_the_server_refuses_is_named_and_nothing_is_changed(deployed: Cluster, rendered: Rendered) -> None:
    before = specs(deployed)
    with pytest.raises(CommandError, match="refused, and nothing was changed") as refused:
        deploy(deployed, rendered(MISSPELT), print, UP_WITHIN_S)
    assert "shipping" in (said := refused.value.line)
    assert "imagePullPolice" in said
    assert specs(deployed) == before


def test_what_has_to_be_migrated_is_migrated_before_the_new_version_starts(updated: Cluster) -> None:
    done = updated.kubectl("get", "job", "databases", "--output", "jsonpath={.status.completionTime}")
    ours = ("--selector", "app.kubernetes.io/component=service")
    each = "jsonpath={.items[*].metadata.creationTimestamp}"
    started = updated.kubectl("get", "pods", *ours, "--output", each).split()
    assert len(started) == 14
    assert done <= min(started)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (NOWHERE, "ErrImagePull|ImagePullBackOff"),
        (WRONG_SETTING, "instead of getting ready"),
        (NO_BROKER, "kafka-0: (ErrImagePull|ImagePullBackOff)"),
    ],
    ids=["an-image-that-is-nowhere", "a-setting-that-no-service-starts-with", "a-broker-that-does-not-start"],
)
def test_a_deployment_that_does_not_come_up_is_taken_back_by_itself(
    updated: Cluster, rendered: Rendered, broken: str, why: str
) -> None:
    before = specs(updated)
    with pytest.raises(CommandError, match=why) as failed:
        deploy(updated, rendered(broken), print, UP_WITHIN_S)
    assert "; rolled back to the deployment of " in failed.value.line
    assert "which serves: order " in failed.value.line
    left = [line for line in changes(updated, rendered(QUIET)) if not line.startswith("again Job/")]
    assert left in ([], ["nothing is to be changed"])
    assert specs(updated) == before
    assert smoke.order(updated)


def test_after_all_of_it_the_history_is_right_and_an_order_can_be_explained(updated: Cluster) -> None:
    smoked = smoke.order(updated)
    assert smoked is not None
    assert cli_check.checked_inside(updated).counts == dict.fromkeys(CHECKS, 0)
    story = cli_check.explained_inside(updated, smoked.order_id)
    assert f"order {smoked.order_id}: COMPLETED" in story
    assert "No violation." in story


def settings(shop: Cluster) -> list[str]:
    """The services' ConfigMaps, whose names change with what is in them."""
    names = shop.kubectl("get", "configmaps", "--output", "jsonpath={.items[*].metadata.name}").split()
    return [f"ConfigMap/{name}" for name in names if name.startswith("services-")]


def pods(shop: Cluster) -> set[str]:
    return set(shop.kubectl("get", "pods", "--output", "jsonpath={.items[*].metadata.uid}").split())


def specs(shop: Cluster) -> dict[str, str]:
    """What the pods of each workload are made from."""
    line = "{.metadata.name} {.spec.replicas} {.spec.template.spec}"
    said = shop.kubectl("get", "statefulsets,deployments", "--output", f"jsonpath={{range .items[*]}}{line}\n{{end}}")
    return dict(each.split(" ", 1) for each in said.strip().splitlines())  # pyright: ignore[reportReturnType]
