"""An overlay as Kustomize renders it, read: what images it names, what of it is a step, what of it is the shop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from k8s.rendering import Manifest, containers, name_of, pod_template
from sagaproof.cluster import Cluster
from sagaproof.errors import CommandError

SPEC = "sagaproof/spec"
"""An annotation of a Job: what its spec is made of. A Job of another one has not done this one's work."""
PLACEHOLDER = "registry.invalid/"
"""Of an overlay in which the images are still to be named."""
SHOP = ("service", "gateway")
"""Components whose pods want the newest tables and topics."""
OF_DATA = {
    *("Namespace", "Secret", "ExternalSecret", "PersistentVolumeClaim", "StorageClass"),
    *("Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "Cluster", "Database"),
}
"""Kinds that are not deleted because an overlay has them no longer. The same goes for StatefulSets beside the shop."""


def render(folder: Path, images: Mapping[str, str] | None = None) -> list[Manifest]:
    """All manifests of an overlay, with these images in place of its own: `services` or `gateway` -> address.

    Raises CommandError, also for an image that another one could take the place of.
    """
    said = Cluster().kubectl("kustomize", str(folder))
    found: list[Manifest] = list(yaml.load_all(said, yaml.CSafeLoader))
    for image in (image for each in found for image in _images(each)):
        address: str = image["image"]
        address = image["image"] = (images or {}).get(repository(address).rpartition("/")[2], address)
        _refuse_unless_fixed(address)
    for job in filter(is_job, found):
        job["metadata"].setdefault("annotations", {})[SPEC] = _digest(job["spec"])
    return found


def repository(image: str) -> str:
    """Of `registry:5000/shop/services:1.2@sha256:...`: what is before tag and digest."""
    path = image.partition("@")[0]
    front, slash, last = path.rpartition("/")
    return front + slash + last.partition(":")[0]


def _refuse_unless_fixed(image: str) -> None:
    how = "an image is named by digest (name@sha256:...) or by a tag that is never given again"
    said = image.partition("@")[0].removeprefix(repository(image))
    if image.startswith(PLACEHOLDER):
        raise CommandError(f"{image} is a placeholder: name what was published", ["--image services=ADDRESS ...", how])
    if "@sha256:" not in image and said in ("", ":", ":latest"):
        raise CommandError(f"{image} may be another image tomorrow", [how])


def _images(manifest: Manifest) -> list[Manifest]:
    template = pod_template(manifest)
    return containers(template) if template else []


def namespace_of(manifests: Iterable[Manifest]) -> str:
    """The one that all of them are in. Raises CommandError."""
    found = {each["metadata"].get("namespace") for each in manifests} - {None}
    if len(found) != 1:
        raise CommandError(f"the overlay must name one namespace, and names {', '.join(sorted(found)) or 'none'}")
    return found.pop()


def is_job(manifest: Manifest) -> bool:
    return manifest["kind"] == "Job"


def is_workload(manifest: Manifest) -> bool:
    return manifest["kind"] in ("StatefulSet", "Deployment")


def is_shop(manifest: Manifest) -> bool:
    """Whether its pods are the services' or the gateway's, and not what those stand on."""
    return is_workload(manifest) and manifest["metadata"]["labels"].get("app.kubernetes.io/component") in SHOP


def may_hold_data(manifest: Manifest) -> bool:
    """Whether something could be lost with it."""
    return manifest["kind"] in OF_DATA or (manifest["kind"] == "StatefulSet" and not is_shop(manifest))


def moved(manifest: Manifest, namespace: str = "", suffix: str = "") -> Manifest:
    """The same in another namespace, or with another name."""
    metadata = {**manifest["metadata"], "name": manifest["metadata"]["name"] + suffix}
    return {**manifest, "metadata": {**metadata, **({"namespace": namespace} if namespace else {})}}


def text(manifests: Iterable[Manifest]) -> str:
    """For kubectl. JSON is YAML, but what begins with a brace kubectl takes for JSON, which knows no `---`."""
    return "".join(f"---\n{json.dumps(each)}\n" for each in manifests)


def read(said: str) -> list[Manifest]:
    """What `text` has made."""
    return list(yaml.load_all(said, yaml.CSafeLoader))


def names(manifests: Sequence[Manifest]) -> set[str]:
    return set(map(name_of, manifests))


def _digest(spec: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
