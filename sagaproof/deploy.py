"""Brings a namespace to what an overlay says, or leaves it as it was: `sagaproof cluster up`.

Looked at first, by the API server itself, so that what it refuses changes nothing. Then in this order: what the shop
stands on, the Jobs that migrate, the shop, an order through it. Whatever fails on the way brings back the last
deployment that went well, whose manifests are kept in the namespace (docs/decisions/0023).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from k8s.rendering import Manifest, name_of
from sagaproof import manifests as of
from sagaproof import smoke
from sagaproof.cluster import Cluster, passwords_of
from sagaproof.errors import CommandError
from sagaproof.rollout import Rollout

ROLLOUT_WITHIN_S = 300.0
RECORD = "last-deployment"
"""The Secret with the manifests of the last deployment that went well."""
WHEN = "sagaproof/deployed-at"
ANYWHERE = "default"
"""A namespace that every cluster has: for a dry run of manifests whose own is not there yet."""
CHECKED = "-checked"
"""Behind the name of a Job that is only looked at: one that is there cannot be changed."""

Say = Callable[[str], None]


def deploy(
    cluster: Cluster,
    wanted: Sequence[Manifest],
    say: Say,
    timeout_s: float = ROLLOUT_WITHIN_S,
    *,
    dry_run: bool = False,
    rolls_back: bool = True,
) -> None:
    """Raises CommandError: before anything was changed if the server refuses a manifest, else after the rollback."""
    is_new = not cluster.is_there()
    refuse_what_the_server_refuses(cluster, wanted)
    for line in changes(cluster, wanted):
        say(line)
    if dry_run:
        say("a dry run: nothing was changed")
        return
    before = None if is_new else _Before(cluster, wanted)
    try:
        bring_up(cluster, wanted, say, timeout_s)
        _tell(smoke.order(cluster), say)
    except CommandError as error:
        if before is None or not rolls_back:
            raise CommandError(
                error.line, [*error.details, "nothing was rolled back: see sagaproof cluster status"]
            ) from None
        raise CommandError(before.bring_back(error, say, timeout_s), error.details) from None
    gone, left = dropped(cluster, wanted)
    _remember(cluster, wanted)  # first: what cannot be deleted does not make it a worse one to come back to
    for each in left:
        say(f"{name_of(each)} is no longer wanted, and was left, as it may hold data")
    if gone:
        cluster.kubectl("delete", "--ignore-not-found", "-f", "-", given=of.text(gone))


def refuse_what_the_server_refuses(cluster: Cluster, wanted: Sequence[Manifest]) -> None:
    """A dry run of the server. Raises CommandError, which names the manifest."""
    jobs = [of.moved(each, suffix=CHECKED) for each in wanted if of.is_job(each)]
    looked_at = [*(each for each in wanted if not of.is_job(each)), *jobs]
    place = cluster
    if not cluster.is_there():
        place = Cluster(ANYWHERE, cluster.context)
        looked_at = [of.moved(each, ANYWHERE) for each in looked_at if each["kind"] != "Namespace"]
    try:
        place.apply(of.text(looked_at), "--dry-run=server")
    except CommandError as error:
        raise CommandError(f"refused, and nothing was changed: {error.line}", error.details) from None


def changes(cluster: Cluster, wanted: Sequence[Manifest]) -> list[str]:
    """Lines that say what would change. Of what is new the name alone; a Secret's values are not shown."""
    if not cluster.is_there():
        return [f"the namespace {cluster.namespace} is new, and all {len(wanted)} manifests"]
    others = of.text([each for each in wanted if not of.is_job(each)])
    found = cluster.kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", given=others, fine=(0, 1))
    lines = [line for chunk in re.split(r"^diff .*\n", found, flags=re.MULTILINE)[1:] for line in shown(chunk)]
    lines += [f"again {name_of(job)}" for job in jobs_due(cluster, wanted)]
    lines += [f"gone {name_of(each)}" for each in dropped(cluster, wanted)[0]]
    return lines or ["nothing is to be changed"]


def dropped(cluster: Cluster, wanted: Sequence[Manifest]) -> tuple[list[Manifest], list[Manifest]]:
    """What the last deployment that went well had and these have not: what is deleted, and what may hold data."""
    record = _record(cluster)
    names = of.names(wanted)
    absent = [each for each in _manifests_of(record) if name_of(each) not in names] if record else []
    return [each for each in absent if not of.may_hold_data(each)], list(filter(of.may_hold_data, absent))


def shown(chunk: str) -> list[str]:
    """Of one manifest's difference: its name, and what differs if it is there already."""
    before, after, *lines = chunk.splitlines()
    name = after.split()[1].rpartition("/")[2]
    del before
    return [f"new {name}"] if lines[0].startswith("@@ -0,0 ") else [f"changed {name}", *(f"  {line}" for line in lines)]


def bring_up(cluster: Cluster, wanted: Sequence[Manifest], say: Say, timeout_s: float = ROLLOUT_WITHIN_S) -> None:
    """Applies them and returns when all of it runs. Raises CommandError; what was applied stays."""
    cluster.ensure_namespace()
    if made := cluster.make_passwords(passwords_of(wanted)):
        say(f"made passwords: {', '.join(made)}")
    jobs = jobs_due(cluster, wanted)
    if jobs:
        cluster.kubectl("delete", "job", *(each["metadata"]["name"] for each in jobs), "--ignore-not-found", "--wait")
    if any(map(of.is_shop, there(cluster, wanted))):
        # Kafka and PostgreSQL, then what the new version needs of them, then the new version.
        cluster.apply(of.text([*(each for each in wanted if not of.is_job(each) and not of.is_shop(each)), *jobs]))
        Rollout(cluster, of.names(jobs), say).wait(timeout_s)
        cluster.apply(of.text([each for each in wanted if of.is_shop(each)]))
    else:
        cluster.apply(of.text([each for each in wanted if not of.is_job(each) or each in jobs]))
    say("applied; waiting until all of it runs")
    Rollout(cluster, _to_wait_for(wanted), say).wait(timeout_s)


def jobs_due(cluster: Cluster, wanted: Sequence[Manifest]) -> list[Manifest]:
    """Those that have not done their work as they are now."""
    jobs = [each for each in wanted if of.is_job(each)]
    done = {
        name_of(each): each["metadata"].get("annotations", {}).get(of.SPEC)
        for each in there(cluster, jobs)
        if each.get("status", {}).get("succeeded")
    }
    return [each for each in jobs if done.get(name_of(each)) != each["metadata"]["annotations"][of.SPEC]]


def there(cluster: Cluster, wanted: Sequence[Manifest]) -> list[Manifest]:
    """Of these manifests, what is in the cluster, as it is."""
    if not wanted:
        return []
    found = cluster.kubectl("get", "--ignore-not-found", "--output", "json", "-f", "-", given=of.text(wanted))
    if not found.strip():
        return []
    [read] = of.read(found)
    return read["items"] if read["kind"] == "List" else [read]


def _to_wait_for(wanted: Sequence[Manifest]) -> set[str]:
    return of.names([each for each in wanted if of.is_workload(each) or of.is_job(each)])


class _Before:
    """What there was before a deployment."""

    def __init__(self, cluster: Cluster, wanted: Sequence[Manifest]) -> None:
        self._cluster = cluster
        self._there = of.names(there(cluster, wanted))
        self._wanted = wanted
        self._record = _record(cluster)

    def bring_back(self, why: CommandError, say: Say, timeout_s: float) -> str:
        """What came of it, as the line of the error that led to it."""
        if self._record is None:
            return f"{why.line}; nothing is known of a deployment that went well, so nothing was rolled back"
        when = self._record["metadata"]["annotations"][WHEN]
        say(f"failed: {why.line}")
        say(f"rolling back to the deployment of {when}")
        try:
            self._apply_again(say, timeout_s)
            smoked = smoke.order(self._cluster)
        except CommandError as error:
            raise CommandError(
                f"{why.line}; and the rollback to the deployment of {when} failed: {error.line}", error.details
            ) from None
        told = f": order {smoked.order_id} completed there" if smoked else ""
        return f"{why.line}; rolled back to the deployment of {when}, which serves{told}"

    def _apply_again(self, say: Say, timeout_s: float) -> None:
        """All but the Jobs: what was migrated stays so, and suits the version before."""
        assert self._record is not None
        before = [each for each in _manifests_of(self._record) if not of.is_job(each)]
        self._cluster.apply(of.text(before))
        Rollout(self._cluster, _to_wait_for(before), say, replace_broken=True).wait(timeout_s)
        known = self._there | of.names(before)
        made = [each for each in self._wanted if name_of(each) not in known and each["kind"] != "Namespace"]
        if made:
            self._cluster.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", given=of.text(made))


def _remember(cluster: Cluster, wanted: Sequence[Manifest]) -> None:
    """A Secret, as an overlay of somebody's own may have secrets in it."""
    now = datetime.now(UTC).isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
    record = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": RECORD,
            "namespace": cluster.namespace,
            "labels": {"app.kubernetes.io/part-of": "sagaproof"},
            "annotations": {WHEN: now},
        },
        "stringData": {"manifests": of.text(wanted)},
    }
    cluster.apply(of.text([record]))


def _record(cluster: Cluster) -> Manifest | None:
    """Of the last deployment that went well."""
    found = cluster.kubectl("get", "secret", RECORD, "--ignore-not-found", "--output", "json")
    return of.read(found)[0] if found.strip() else None


def _manifests_of(record: Manifest) -> list[Manifest]:
    return of.read(base64.b64decode(record["data"]["manifests"]).decode())


def _tell(smoked: smoke.Smoked | None, say: Say) -> None:
    if smoked is None:
        say("nothing is in stock, so there was no smoke order")
    else:
        say(f"smoke order {smoked.order_id} completed after {smoked.took_s:.1f} s")
