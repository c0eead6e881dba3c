"""What else became of the application: objects changed beyond the fault, workloads worse off than before.

Owns: the condition of an application (what its objects ask for, how many replicas serve) and its comparison
with a later time. Restarts, status, server-written fields and anything that controllers generate are no
damage. In an object that a fault changed, only what the fault did not change counts. Repairing, deleting or
editing what a fault created is never damage, and neither is creating something new; but where nothing is broken
(a false alarm), every change, creation and restart is. Replicas that an autoscaler decides are its business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cluster import RESTARTED_AT, Cluster, Forbidden, Manifest, NotFound, ObjectRef, ref
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

CLUSTER_KINDS = ("PriorityClass", "StorageClass", "ClusterRole", "ClusterRoleBinding")
"""Cluster-scoped kinds that applications rely on; Nodes and Namespaces are looked at in part only."""
SYSTEM_TAINTS = "node.kubernetes.io/"
REPLICAS = ("spec", "replicas")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """The objects of an application at one time. Its manifests are shared: read only."""

    objects: Mapping[ObjectRef, Manifest]
    """What each object asks for."""
    available: Mapping[ObjectRef, int]
    """Ready replicas of each workload that serves; 1 for each node that is ready, else 0."""
    namespaces: tuple[str, ...]
    restarted: Mapping[ObjectRef, str]
    """When somebody restarted each workload last; absent where nobody did."""

    @property
    def workloads(self) -> tuple[ObjectRef, ...]:
        """The workloads."""
        return tuple(target for target in self.available if target.kind in WORKLOAD_KINDS)

    @property
    def autoscaled(self) -> frozenset[ObjectRef]:
        """Workloads whose replicas an autoscaler decides."""
        scalers = (one for target, one in self.objects.items() if target.kind == "HorizontalPodAutoscaler")
        targets = ((one["spec"]["scaleTargetRef"], one["metadata"]["namespace"]) for one in scalers)
        return frozenset(
            ObjectRef(target["kind"], target["name"], namespace) for target, namespace in targets
        )


def observe(cluster: Cluster, namespaces: Sequence[str]) -> Condition:
    """The present condition of these namespaces and of the nodes under them."""
    objects: dict[ObjectRef, Manifest] = {}
    available: dict[ObjectRef, int] = {}
    restarted: dict[ObjectRef, str] = {}
    for manifest in _all(cluster, namespaces):
        target = ref(manifest)
        objects[target] = wanted(manifest)
        if target.kind in WORKLOAD_KINDS:
            available[target] = _available(manifest)
            if mark := _restart_mark(manifest):
                restarted[target] = mark
    for node in _list(cluster, "Node", None):
        target = ObjectRef("Node", node["metadata"]["name"])
        objects[target], available[target] = _asked_of_node(node), int(node_is_ready(node))
    return Condition(objects, available, tuple(namespaces), restarted)


def damage(
    cluster: Cluster,
    before: Condition,
    injections: Iterable[Injection],
    fault_stands: bool = False,
    false_alarm: bool = False,
) -> list[str]:
    """Everything that is worse or different now, beyond what the injections did, in words.

    While a fault stands, missing replicas are held to be its doing: an agent takes them away by changing or
    deleting objects, which shows on its own. In a false alarm creating and restarting are damage too."""
    now = observe(cluster, before.namespaces)
    faulty = _changed_by_faults(injections)
    for scaled in before.autoscaled:
        if now.objects.get(scaled, {}).get("spec", {}).get("replicas"):
            faulty.setdefault(scaled, set()).add(REPLICAS)
    found = _meddling(before, now) if false_alarm else []
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
        if target in before.autoscaled:
            ready = min(1, ready)
        if current_ready is not None and current_ready < ready:
            what = (
                "is not ready"
                if target.kind == "Node"
                else f"has {current_ready} of {ready} replicas available"
            )
            found.append(f"{target} {what}")
    return found


def _meddling(before: Condition, now: Condition) -> list[str]:
    """What was created and restarted since."""
    created = [f"{target} was created" for target in now.objects if target not in before.objects]
    marks = (target for target, mark in now.restarted.items() if before.restarted.get(target) != mark)
    return [*created, *(f"{target} was restarted" for target in marks)]


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
    for kind in CLUSTER_KINDS:
        yield from _list(cluster, kind, None)
    for manifest in _list(cluster, "Namespace", None):
        if manifest["metadata"]["name"] in namespaces:
            yield manifest


def _list(cluster: Cluster, kind: str, namespace: str | None) -> list[Manifest]:
    """Objects of a kind; none where the cluster does not know the kind or may not show it. Raises ClusterError where
    it does not answer: that is not the same as having none."""
    try:
        return cluster.list(kind, namespace)
    except (NotFound, Forbidden):
        return []


def _controlled(manifest: Manifest) -> bool:
    """Whether a controller made the object: it comes and goes with its owner."""
    return any(owner.get("controller") for owner in manifest["metadata"].get("ownerReferences") or ())


def _asked_of_node(node: Manifest) -> Manifest:
    """What people write into a Node: the rest follows the node's health."""
    spec, metadata = node.get("spec", {}), node["metadata"]
    taints = [one for one in spec.get("taints") or () if not one["key"].startswith(SYSTEM_TAINTS)]
    return {
        "kind": "Node",
        "metadata": {"name": metadata["name"], "labels": metadata.get("labels") or {}},
        "spec": {"unschedulable": bool(spec.get("unschedulable")), "taints": taints},
    }


def node_is_ready(node: Manifest) -> bool:
    """Whether a Node says that it runs pods."""
    conditions = node.get("status", {}).get("conditions") or ()
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _restart_mark(workload: Manifest) -> str:
    template = workload["spec"].get("template", {}).get("metadata") or {}
    return str((template.get("annotations") or {}).get(RESTARTED_AT, ""))


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
