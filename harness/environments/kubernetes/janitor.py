"""Removes from a cluster what trials left, and nothing that the harness did not put there.

    at the start of a run     what an earlier, killed execution of the same run left, and whatever has expired
    at its end                what is left of the run
    python -m harness janitor the same by hand

A node is not removed: it takes pods again and loses its marks. Owns: finding by label and expiry, removing, waiting,
saying what stayed. Does not own: the marks (`marks.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.cluster import Cluster, ClusterError, Manifest, NotFound, ObjectRef, ref
from harness.environments.kubernetes.marks import OWNED, RUN, TRIAL, UNMARKING, is_expired

NAMESPACE = "Namespace"
CLUSTER_KINDS = (
    "ClusterRoleBinding", "ClusterRole", "PriorityClass", "PersistentVolume", "StorageClass", "Node",
)  # fmt: skip
WAIT_S = 300.0
"""How long namespaces may take to go: a busy node needs minutes to stop dozens of containers."""


class Sweep(NamedTuple):
    """What a janitor found."""

    removed: Sequence[ObjectRef]
    left: Sequence[str]
    """Objects that would not go, with the reason: a failure."""


def sweep(cluster: Cluster, run: str = "", everything: bool = False, wait_s: float = WAIT_S) -> Sweep:
    """Remove what belongs to a run, and what has expired; `everything`: whatever any run put there.

    Raises ClusterError where the cluster does not answer."""
    doomed = [one for one in owned(cluster) if everything or belongs(one, run) or is_expired(one)]
    left: list[str] = []
    for manifest in doomed:
        left += _delete(cluster, manifest)
    deadline = time.monotonic() + wait_s
    waiting = [ref(one) for one in doomed if one["kind"] == NAMESPACE]
    while waiting := [target for target in waiting if exists(cluster, target.name)]:
        if time.monotonic() > deadline:
            left += [f"{target} is still there after {wait_s:.0f} s" for target in waiting]
            break
        time.sleep(1)
    return Sweep([ref(one) for one in doomed], left)


def remove_trial(cluster: Cluster, trial: str) -> None:
    """Begin to remove everything of one trial. What refuses stays for a sweep."""
    for manifest in owned(cluster, {TRIAL: trial}):
        _delete(cluster, manifest)


def owned(cluster: Cluster, labels: Mapping[str, str] | None = None) -> list[Manifest]:
    """Namespaces of trials, the cluster-scoped objects that they, their faults or their agents made, and nodes that
    faults cordoned."""
    found = cluster.list(NAMESPACE, None, {OWNED: "true", **(labels or {})})
    for kind in CLUSTER_KINDS:
        try:
            listed = cluster.list(kind, None, labels)
        except NotFound:
            continue
        found += [one for one in listed if TRIAL in (one["metadata"].get("labels") or {})]
    return found


def belongs(manifest: Manifest, run: str) -> bool:
    """Whether an object is of a run."""
    return bool(run) and (manifest["metadata"].get("labels") or {}).get(RUN) == run


def exists(cluster: Cluster, namespace: str) -> bool:
    """Whether a namespace is there still."""
    try:
        cluster.get(NAMESPACE, namespace)
    except NotFound:
        return False
    except ClusterError:
        return True
    return True


def _delete(cluster: Cluster, manifest: Manifest) -> list[str]:
    """Delete an object, or give a node back to whoever has it; what went wrong."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    try:
        if kind == "Node":
            cluster.patch(kind, name, "", {"metadata": UNMARKING, "spec": {"unschedulable": None}})
        else:
            cluster.delete(kind, name)
    except NotFound:
        return []
    except ClusterError as error:
        if exists(cluster, name) and manifest["metadata"].get("deletionTimestamp"):
            return []
        return [f"{ref(manifest)}: {error}"]
    return []
