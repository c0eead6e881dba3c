"""What else became of the application: objects changed beyond the fault, workloads worse off than before.

Owns: the condition of an application (what its objects ask for, how many replicas serve) and its comparison
with a later time. Restarts, status, server-written fields and anything that controllers generate are no
damage. In an object that a fault changed, only what the fault did not change counts. Repairing, deleting or
editing what a fault created is never damage, and neither is creating something new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cluster import Cluster, ClusterError, Manifest, ObjectRef, ref
from scenarios.faults.base import Injection
from scenarios.faults.objects import wanted

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
SPEC_KINDS = (
    *WORKLOAD_KINDS,
    "Service",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "Ingress",
    "Gateway",
    "HTTPRoute",
    "AuthorizationPolicy",
    "PeerAuthentication",
    "Schedule",
    "HTTPChaos",
    "IOChaos",
    "JVMChaos",
    "NetworkChaos",
    "PodChaos",
    "StressChaos",
)
"""Namespaced kinds whose objects say what someone asked for."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """The objects of an application at one time. Its manifests are shared: read only."""

    objects: Mapping[ObjectRef, Manifest]
    """What each object asks for."""
    available: Mapping[ObjectRef, int]
    """Ready replicas of each workload that serves."""
    namespaces: tuple[str, ...]

    @property
    def workloads(self) -> tuple[ObjectRef, ...]:
        """The workloads."""
        return tuple(self.available)


def observe(cluster: Cluster, namespaces: Sequence[str]) -> Condition:
    """The present condition of these namespaces and of the nodes under them."""
    objects: dict[ObjectRef, Manifest] = {}
    available: dict[ObjectRef, int] = {}
    for manifest in _all(cluster, namespaces):
        target = ref(manifest)
        objects[target] = wanted(manifest)
        if target.kind in WORKLOAD_KINDS:
            available[target] = _available(manifest)
    return Condition(objects, available, tuple(namespaces))


def damage(
    cluster: Cluster, before: Condition, injections: Iterable[Injection], fault_stands: bool = False
) -> list[str]:
    """Everything that is worse or different now, beyond what the injections did, in words.

    While a fault stands, missing replicas are held to be its doing: an agent takes them away by changing or
    deleting objects, which shows on its own."""
    now = observe(cluster, before.namespaces)
    faulty = _changed_by_faults(injections)
    found: list[str] = []
    for target, asked in before.objects.items():
        current = now.objects.get(target)
        mine = faulty.get(target, ())
        if current is None:
            if () not in mine:
                found.append(f"{target} was deleted")
        elif current != asked:
            fields = [path for path in differences(asked, current) if not _within(path, mine)]
            if fields:
                found.append(f"{target} was changed: {', '.join(map('.'.join, fields))}")
    for target, ready in before.available.items() if not fault_stands else ():
        current_ready = now.available.get(target)
        if current_ready is not None and current_ready < ready:
            found.append(f"{target} has {current_ready} of {ready} replicas available")
    return found


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Path]:
    """Paths at which two values differ: lists of named things by name, JSON texts by their content."""
    if old == new:
        return
    old, new = _open(old), _open(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}, key=str):
            if key not in old or key not in new:
                yield (*path, str(key))
            else:
                yield from differences(old[key], new[key], (*path, str(key)))
    elif old != new:
        yield path


def _all(cluster: Cluster, namespaces: Sequence[str]) -> Iterator[Manifest]:
    for kind in SPEC_KINDS:
        for namespace in namespaces:
            found = _list(cluster, kind, namespace)
            yield from (manifest for manifest in found if not _controlled(manifest))
    for node in _list(cluster, "Node", None):
        yield {**node, "metadata": {"name": node["metadata"]["name"]}, "spec": _schedulable(node)}
    for manifest in _list(cluster, "Namespace", None):
        if manifest["metadata"]["name"] in namespaces:
            yield manifest


def _list(cluster: Cluster, kind: str, namespace: str | None) -> list[Manifest]:
    """Objects of a kind; none where the cluster does not know the kind or may not show it."""
    try:
        return cluster.list(kind, namespace)
    except ClusterError:
        return []


def _controlled(manifest: Manifest) -> bool:
    """Whether a controller made the object: it comes and goes with its owner."""
    return any(owner.get("controller") for owner in manifest["metadata"].get("ownerReferences") or ())


def _schedulable(node: Manifest) -> Manifest:
    """The part of a Node's spec that people write: the rest follows the node's health."""
    return {"unschedulable": bool(node.get("spec", {}).get("unschedulable"))}


def _available(workload: Manifest) -> int:
    status = workload.get("status", {})
    field = "numberAvailable" if workload["kind"] == "DaemonSet" else "availableReplicas"
    return int(status.get(field) or 0)


def _changed_by_faults(injections: Iterable[Injection]) -> dict[ObjectRef, set[Path]]:
    """Object -> paths that a fault changed; the empty path where it deleted the object."""
    changed: dict[ObjectRef, set[Path]] = {}
    for injection in injections:
        after = {ref(manifest): manifest for manifest in injection.after}
        for manifest in injection.before:
            target = ref(manifest)
            paths = differences(manifest, after[target]) if target in after else [()]
            changed.setdefault(target, set()).update(paths)
        for created in injection.created:
            changed.setdefault(created, set()).add(())
    return changed


def _within(path: Path, faulty: Iterable[Path]) -> bool:
    """Whether a path lies on, under or over one that a fault changed."""
    return any(path[: len(one)] == one[: len(path)] for one in faulty)


def _open(value: Any) -> Any:
    """A list of named things as a mapping by name; a JSON text as its content; anything else as it is."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for key in ("name", "containerPort", "port"):
            if all(key in item for item in value):
                return {str(item[key]): item for item in value}
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
