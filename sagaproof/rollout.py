"""Waiting until workloads are as their manifests say, with progress, and no longer than there is hope.

A pod that cannot be started, or ends again and again, ends the wait: nothing gets better by waiting for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from textwrap import shorten
from typing import Any, NamedTuple

from sagaproof.cluster import Cluster
from sagaproof.errors import CommandError

LOOK_EVERY_S = 1.0
AWAY_WITHIN_S = 30.0
"""The API server."""
HOPELESS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
HOPELESS_AFTER_S = 20.0
"""A Secret may come a little later than its pod, and a registry may be away for a moment."""
RESTARTS_MAX = 3
"""Of a container of a pod that has not been ready."""
WIDTH = 160
"""Characters of what a node says of a pod: it tends to repeat itself."""
REVISION = "controller-revision-hash"

Object = Mapping[str, Any]


class Progress(NamedTuple):
    """How many pods of a workload are as they should be, and how many there should be. A Job has one."""

    ready: int
    wanted: int

    @property
    def is_done(self) -> bool:
        return self.ready >= self.wanted


class Rollout:
    """One wait, for the workloads of these names: `StatefulSet/order`, `Job/topics`.

    replace_broken: whether pods of another revision that are not ready are deleted. A StatefulSet leaves them where
    they are, though their manifest was put right since.
    """

    def __init__(
        self,
        cluster: Cluster,
        wanted: Collection[str],
        say: Callable[[str], None],
        *,
        replace_broken: bool = False,
    ) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._say = say
        self._replace_broken = replace_broken
        self._said = ""
        self._restarts: dict[str, int] = {}
        """Pod's uid -> how often its containers had been started anew when it was first seen."""
        self._hopeless: dict[str, float] = {}
        """Pod's uid -> since when."""

    def wait(self, timeout_s: float) -> None:
        """Raises CommandError, which names the pod or the workloads."""
        deadline = time.monotonic() + timeout_s
        while True:
            objects = self._look()
            done = {name: progress(objects[name]) for name in self._wanted if name in objects}
            left = {name: done[name] for name in sorted(done) if not done[name].is_done}
            if len(done) == len(self._wanted) and not left:
                return
            self._tell(left)
            pods = [each for each in objects.values() if each["kind"] == "Pod"]
            if self._replace_broken:
                self._delete_broken(objects, pods)
            else:
                self._refuse_broken(objects, pods)
            if time.monotonic() > deadline:
                raise CommandError(f"not all of it runs after {timeout_s:.0f} s: {_listed(left)}", list(_woes(pods)))
            time.sleep(LOOK_EVERY_S)  # between two looks at a condition

    def _look(self) -> dict[str, Object]:
        """Once the API server answers: that it is away for a moment is no reason to take anything back."""
        deadline = time.monotonic() + AWAY_WITHIN_S
        while True:
            try:
                said = self._cluster.kubectl("get", "statefulsets,deployments,jobs,pods", "--output", "json")
                break
            except CommandError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_EVERY_S)  # between two looks at a condition
        return {f"{each['kind']}/{each['metadata']['name']}": each for each in json.loads(said)["items"]}

    def _tell(self, left: Mapping[str, Progress]) -> None:
        said = f"{len(self._wanted) - len(left)} of {len(self._wanted)} are up; {_listed(left)}"
        if left and said != self._said:
            self._said = said
            self._say(said)

    def _refuse_broken(self, objects: Mapping[str, Object], pods: Collection[Object]) -> None:
        for name in self._wanted:
            if _condition(objects.get(name, {}), "Failed"):
                why = _condition(objects[name], "Failed")
                raise CommandError(f"{name} failed: {why.get('message', '')}", self._last_lines(f"job/{name[4:]}"))
        for pod in pods:
            if _is_ready(pod) or "deletionTimestamp" in pod["metadata"]:
                continue
            uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
            restarts = sum(each["restartCount"] for each in _statuses(pod))
            if restarts - self._restarts.setdefault(uid, restarts) >= RESTARTS_MAX:
                why = f"{name} has ended {restarts} times instead of getting ready"
                raise CommandError(why, self._last_lines(name, "--previous"))
            if not any(_waits_for(each) in HOPELESS for each in _statuses(pod)):
                self._hopeless.pop(uid, None)
            elif time.monotonic() - self._hopeless.setdefault(uid, time.monotonic()) > HOPELESS_AFTER_S:
                raise CommandError(next(_woes([pod])))

    def _delete_broken(self, objects: Mapping[str, Object], pods: Collection[Object]) -> None:
        for name in self._wanted:
            found = objects.get(name, {})
            if found.get("kind") != "StatefulSet" or not _is_observed(found):
                continue
            for pod in pods:
                labels = pod["metadata"].get("labels", {})
                owners = {each["uid"] for each in pod["metadata"].get("ownerReferences", ())}
                is_its = found["metadata"]["uid"] in owners and "deletionTimestamp" not in pod["metadata"]
                if is_its and not _is_ready(pod) and labels.get(REVISION) != found["status"].get("updateRevision"):
                    self._cluster.kubectl(
                        "delete", "pod", pod["metadata"]["name"], "--ignore-not-found", "--wait=false"
                    )

    def _last_lines(self, name: str, *more: str) -> list[str]:
        """Of what it said, for whoever reads the error; nothing where that cannot be had."""
        try:
            return self._cluster.kubectl("logs", name, "--tail=3", *more).splitlines()
        except CommandError:
            return []


def progress(found: Object) -> Progress:
    """Of a StatefulSet, a Deployment or a Job, by its status; nothing is up before its controller has seen its spec."""
    if found["kind"] == "Job":
        return Progress(1 if _condition(found, "Complete") else 0, 1)
    status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
    if not _is_observed(found):
        return Progress(0, wanted or 1)
    there = status.get("replicas", 0)
    # Of those that are new and those that are available, so many must be both.
    both = max(0, status.get("updatedReplicas", 0) + status.get("availableReplicas", 0) - there)
    return Progress(min(both, wanted - max(0, there - wanted)), wanted)


def _is_observed(found: Object) -> bool:
    return found.get("status", {}).get("observedGeneration", 0) >= found["metadata"]["generation"]


def _condition(found: Object, kind: str) -> Object:
    """The condition of this type if it is true, else {}."""
    for each in found.get("status", {}).get("conditions", ()):
        if each["type"] == kind and each["status"] == "True":
            return each
    return {}


def _is_ready(pod: Object) -> bool:
    return bool(_condition(pod, "Ready")) or pod["status"].get("phase") == "Succeeded"


def _statuses(pod: Object) -> list[Object]:
    return [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]


def _waits_for(status: Object) -> str:
    return status["state"].get("waiting", {}).get("reason", "")


def _woes(pods: Collection[Object]) -> Iterator[str]:
    """A line for each pod that is not ready, which says why."""
    for pod in pods:
        if _is_ready(pod):
            continue
        name = pod["metadata"]["name"]
        waiting = [each["state"]["waiting"] for each in _statuses(pod) if "waiting" in each["state"]]
        unscheduled = [each for each in pod["status"].get("conditions", ()) if each.get("reason") == "Unschedulable"]
        for why in waiting[:1] or unscheduled[:1]:
            yield f"{name}: {why.get('reason')}: {shorten(why.get('message', 'no reason given'), WIDTH)}"


def _listed(left: Mapping[str, Progress]) -> str:
    return ", ".join(f"{name.partition('/')[2]} {each.ready}/{each.wanted}" for name, each in left.items())
