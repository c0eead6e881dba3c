"""Faults in nodes: a cordoned one, one that does not exist; and choosing a node.

Owns: ITBench faults 1 and 16. Upstream chooses nodes and names at random; here the workload's uid decides, so that
a run can be repeated.
"""

from __future__ import annotations

import hashlib
from typing import Any

from harness.cluster import Cluster, Manifest, ObjectRef, is_rolled_out, scale, wait_until
from scenarios.faults.base import Fault, Injection, find, refuse, require
from scenarios.faults.objects import pods_of
from scenarios.faults.workload import WorkloadFault, runs

CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
HOSTNAME = "kubernetes.io/hostname"
ROLLOUT_S = 300.0


def number_from(workload: Manifest, below: int) -> int:
    """A number that depends on the workload's uid alone."""
    draw = hashlib.sha256(str(workload["metadata"].get("uid", "")).encode()).digest()
    return int.from_bytes(draw[:4], "big") % below


def choose_worker(fault: Fault, cluster: Cluster, workload: Manifest) -> Manifest:
    """Any schedulable worker, drawn by the workload's uid; on a cluster without workers, any node."""
    nodes = sorted(cluster.list("Node"), key=lambda node: str(node["metadata"]["name"]))
    if not nodes:
        raise refuse(fault, ObjectRef("Node", "*"), "the cluster lists no nodes")
    workers = [node for node in nodes if is_worker(node) and not node.get("spec", {}).get("unschedulable")]
    candidates = workers or nodes
    return candidates[number_from(workload, len(candidates))]


def is_worker(node: Manifest) -> bool:
    """Whether a node is no control plane."""
    return not set(CONTROL_PLANE_LABELS) & set(node["metadata"].get("labels", {}))


def hostname_selector(node: Manifest) -> dict[str, str]:
    """The node selector that only this node satisfies."""
    labels = node["metadata"].get("labels", {})
    return {HOSTNAME: labels.get(HOSTNAME, node["metadata"]["name"])}


def host_of(pod_spec: Manifest) -> str:
    """The host to which a pod spec is pinned; empty for none."""
    return str((pod_spec.get("nodeSelector") or {}).get(HOSTNAME, ""))


class CordonedNode(WorkloadFault):
    """Fault 1: the workload is pinned to a node that takes no new pods, and wants one more."""

    id = "cordoned-kubernetes-worker-node"
    index = 1

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        return {"nodeSelector": hostname_selector(choose_worker(self, cluster, workload))}

    def inject(self, cluster: Cluster) -> Injection:
        workload = require(self, cluster, self.target)
        node = choose_worker(self, cluster, workload)
        time = cluster.now()
        pinned = {"spec": {"template": {"spec": {"nodeSelector": hostname_selector(node)}}}}
        cluster.patch(*self.target, pinned)
        if not wait_until(cluster, lambda: is_rolled_out(require(self, cluster, self.target)), ROLLOUT_S):
            raise refuse(self, self.target, f"not rolled out on one node after {ROLLOUT_S:.0f} s")
        name = node["metadata"]["name"]
        cluster.patch("Node", name, "", {"spec": {"unschedulable": True}})
        scale(cluster, *self.target, replicas=workload["spec"].get("replicas", 1) + 1)
        return self.record(cluster, time, before=(workload, node))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        workload = find(cluster, self.target)
        return (
            workload is not None
            and self._is_stuck(cluster, workload["spec"]["template"]["spec"])
            and any(not pod["spec"].get("nodeName") for pod in pods_of(cluster, workload))
        )

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        return bool(host_of(pod_spec))

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The node takes pods again, or the workload may go elsewhere; and the workload runs."""
        workload = find(cluster, self.target)
        return (
            workload is not None
            and runs(workload)
            and not self._is_stuck(cluster, workload["spec"]["template"]["spec"])
        )

    def undo(self, cluster: Cluster, injection: Injection) -> None:
        """A node belongs to the cluster: it is uncordoned, not replaced."""
        for manifest in injection.before:
            if manifest["kind"] == "Node":
                name = manifest["metadata"]["name"]
                cluster.patch("Node", name, "", {"spec": {"unschedulable": None}})
            else:
                cluster.apply(manifest)

    def _is_stuck(self, cluster: Cluster, pod_spec: Manifest) -> bool:
        host = host_of(pod_spec)
        return bool(host) and not any(
            hostname_selector(node)[HOSTNAME] == host and not node.get("spec", {}).get("unschedulable")
            for node in cluster.list("Node")
        )


class NonexistentNode(WorkloadFault):
    """Fault 16: a node selector for a host that the cluster does not have."""

    id = "nonexistent-kubernetes-workload-node"
    index = 16

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        return {"nodeSelector": {HOSTNAME: f"invalid-node-{number_from(workload, 1000)}"}}

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        """Pinned to the bad host; another host that does not exist shows in the roll-out."""
        return host_of(pod_spec).startswith("invalid-node-")
