"""Customers inside the cluster: a pod that orders through the gateway's Service, as any client behind it does.

What is forwarded to this machine goes to one pod and ends with it, so it cannot say what clients see while pods change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from e2e.waiting import eventually
from sagaproof.cluster import Cluster

NAME = "customers"
CUSTOMERS = 2
STARTS_WITHIN_S = 60.0
ORDERS_WITHIN_S = 90.0
ENDS_WITHIN_S = 40.0

_END = "import os, signal; os.kill(1, signal.SIGTERM)"


class Customers:
    """Order inside the block; afterwards `orders` has a line of each, see customer.py."""

    def __init__(self, cluster: Cluster, image: str) -> None:
        self._cluster = cluster
        self._image = image
        self.orders: list[dict[str, Any]] = []

    def __enter__(self) -> Customers:
        self._cluster.kubectl("create", "-f", "-", given=json.dumps(_pod(self._image)))
        self._cluster.kubectl("wait", f"pod/{NAME}", "--for=condition=Ready", f"--timeout={STARTS_WITHIN_S:.0f}s")
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.kubectl("exec", NAME, "--", "python", "-c", _END)
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        self._cluster.kubectl("wait", f"pod/{NAME}", ended, f"--timeout={ENDS_WITHIN_S:.0f}s")
        self.orders = self._said()
        self._cluster.kubectl("delete", "pod", NAME)

    def wait_for(self, count: int) -> None:
        """Until so many orders more were answered."""
        before = self._said()
        what = f"{count} more orders; the last ones were {before[-3:]}"
        eventually(what, lambda: len(self._said()) >= len(before) + count, ORDERS_WITHIN_S, every_s=1.0)

    def _said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._cluster.kubectl("logs", NAME).splitlines()]


def _pod(image: str) -> dict[str, Any]:
    program = Path(__file__).with_name("customer.py").read_text()
    labels = {"app.kubernetes.io/name": "operator", "app.kubernetes.io/part-of": "sagaproof"}
    container: dict[str, Any] = {
        "name": NAME,
        "image": image,
        "command": ["python", "-c", program, str(CUSTOMERS)],
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    profile = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": profile, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": labels}, "spec": spec}
