"""DaemonSets: one pod on every node that takes it."""

from __future__ import annotations

from harness.cluster import Forbidden, Manifest
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import (
    Controller,
    concerns_others,
    controller_of,
    counts,
    is_active,
    is_true,
    key_of,
)
from harness.environments.simulated.controllers.garbage import delete_object
from harness.environments.simulated.controllers.placement import affine, tainted
from harness.environments.simulated.controllers.pods import create_pod
from harness.environments.simulated.controllers.rollout import template_hash
from harness.environments.simulated.store import Change

REVISION_LABEL = "controller-revision-hash"
_TOLERATED = [
    {"key": f"node.kubernetes.io/{condition}", "operator": "Exists", "effect": "NoSchedule"}
    for condition in ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
]


class DaemonSetController(Controller):
    """Keeps one pod per eligible node; replaces outdated ones one at a time."""

    name = "daemonset-controller"
    watches = ("DaemonSet", "Pod", "Node")

    def observe(self, change: Change) -> None:
        """A DaemonSet, the owner of a pod, or all of them when a node changes."""
        if change.kind == "Node":
            for daemon_set in self.store.list("DaemonSet"):
                self.enqueue(key_of(daemon_set))
        elif change.kind == "DaemonSet":
            self.enqueue(change.key)
        elif concerns_others(change) and (owner := controller_of(change.last, "DaemonSet")):
            self.enqueue((change.key[0], owner))

    def reconcile(self, key: Key) -> None:
        """Create missing pods, remove superfluous and outdated ones, write the status."""
        daemon_set = self.store.get("DaemonSet", key[1], key[0])
        if daemon_set is None:
            return
        hash_ = template_hash(daemon_set["spec"]["template"])
        probe = {"spec": self._spec(daemon_set, "")}
        nodes = [n for n in self.store.list("Node") if not (tainted(probe, n, {}) or affine(probe, n, {}))]
        names = [node["metadata"]["name"] for node in nodes]
        pods = {_target(pod): pod for pod in self._pods(daemon_set)}
        for node in [node for node in pods if node not in names]:
            self._delete(daemon_set, pods.pop(node))
        for node in names:
            if node not in pods:
                self._create(daemon_set, node, hash_)
        outdated = [pod for pod in pods.values() if pod["metadata"]["labels"].get(REVISION_LABEL) != hash_]
        rolling = daemon_set["spec"]["updateStrategy"]["type"] == "RollingUpdate"
        others_ready = all(is_true(pod, "Ready") for pod in pods.values() if pod not in outdated)
        if outdated and rolling and others_ready and len(pods) == len(names):
            self._delete(daemon_set, outdated[0])
        self._write_status(daemon_set, len(names), hash_)

    def _pods(self, daemon_set: Manifest) -> list[Manifest]:
        return [pod for pod in self.store.owned(daemon_set["metadata"]["uid"], "Pod") if is_active(pod)]

    def _spec(self, daemon_set: Manifest, node: str) -> Manifest:
        """The template's pod spec with a daemon's tolerations and, for a node, its binding by affinity."""
        spec = daemon_set["spec"]["template"]["spec"]
        fields: Manifest = {**spec, "tolerations": [*(spec.get("tolerations") or []), *_TOLERATED]}
        if node:
            match = {"key": "metadata.name", "operator": "In", "values": [node]}
            required = {"nodeSelectorTerms": [{"matchFields": [match]}]}
            pinned = {"requiredDuringSchedulingIgnoredDuringExecution": required}
            fields["affinity"] = {**(spec.get("affinity") or {}), "nodeAffinity": pinned}
        return fields

    def _create(self, daemon_set: Manifest, node: str, hash_: str) -> None:
        try:
            pod = create_pod(
                self.world, daemon_set, "", {REVISION_LABEL: hash_}, self._spec(daemon_set, node)
            )
        except Forbidden as error:
            self.record(daemon_set, "FailedCreate", f"Error creating: {error}", warning=True)
            self.wake(key_of(daemon_set), self.now + 60)
        else:
            self.record(daemon_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    def _delete(self, daemon_set: Manifest, pod: Manifest) -> None:
        self.record(daemon_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        delete_object(self.store, "Pod", key_of(pod))

    def _write_status(self, daemon_set: Manifest, desired: int, hash_: str) -> None:
        pods = self._pods(daemon_set)
        ready = sum(is_true(pod, "Ready") for pod in pods)
        updated = sum(pod["metadata"]["labels"].get(REVISION_LABEL) == hash_ for pod in pods)
        status = {
            "observedGeneration": daemon_set["metadata"]["generation"],
            "currentNumberScheduled": len(pods),
            "desiredNumberScheduled": desired,
            "numberMisscheduled": 0,
            "numberReady": ready,
            **counts(
                updatedNumberScheduled=updated, numberAvailable=ready, numberUnavailable=desired - ready
            ),
        }
        self.store.put_status(daemon_set, status)


def _target(pod: Manifest) -> str:
    """The node that a daemon pod is meant for, bound or not."""
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])
