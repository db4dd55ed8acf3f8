"""Overlays as kubectl renders them, read: what the tests and `check-parity` look at."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

OVERLAYS = Path(__file__).resolve().parent / "overlays"
Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """All manifests of an overlay; subprocess.CalledProcessError where Kustomize refuses it."""
    kubectl = Path(sys.executable).with_name("kubectl")
    made = subprocess.run([kubectl, "kustomize", OVERLAYS / overlay], capture_output=True, check=True, text=True).stdout
    return tuple(yaml.load_all(made, yaml.CSafeLoader))


def name_of(manifest: Manifest) -> str:
    """Kind and name, for people."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pod_template(manifest: Manifest) -> Manifest | None:
    """The pods that a workload makes; None of what is no workload."""
    if manifest["kind"] in {"Deployment", "StatefulSet", "Job"}:
        return manifest["spec"]["template"]
    return None


def containers(template: Manifest) -> list[Manifest]:
    """Of a pod: those that prepare it, and those that run."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
