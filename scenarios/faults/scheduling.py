"""Faults that keep pods from being scheduled.

Owns: ITBench fault 25.
"""

from __future__ import annotations

from typing import Any

from harness.cluster import Cluster, Manifest, ObjectRef, wait_until
from scenarios.faults.base import Injection, find, refuse
from scenarios.faults.init_containers import AUXILIARY_IMAGE
from scenarios.faults.workload import WorkloadFault, runs

OPERATOR = "application-operator"
OPERATOR_LABELS = {"app.kubernetes.io/name": OPERATOR}
READY_S = 300.0


class UnschedulableAntiAffinity(WorkloadFault):
    """Fault 25: a required pod anti-affinity against a DaemonSet that runs on every node."""

    id = "unschedulable-kubernetes-workload-pod-anti-affinity-rule"
    index = 25

    @property
    def operator(self) -> ObjectRef:
        """The DaemonSet that the fault brings along."""
        return ObjectRef("DaemonSet", OPERATOR, self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.operator)

    def prepare(self, cluster: Cluster) -> tuple[ObjectRef, ...]:
        cluster.apply(_operator_manifest(self.operator))
        if not wait_until(cluster, lambda: self._operator_runs(cluster), READY_S):
            raise refuse(self, self.operator, f"not on every node after {READY_S:.0f} s")
        return (self.operator,)

    def _operator_runs(self, cluster: Cluster) -> bool:
        status = (find(cluster, self.operator) or {}).get("status", {})
        return bool(0 < status.get("desiredNumberScheduled", 0) == status.get("numberReady", 0))

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        term = {"labelSelector": {"matchLabels": OPERATOR_LABELS}, "topologyKey": "kubernetes.io/hostname"}
        return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        rules = (pod_spec.get("affinity") or {}).get("podAntiAffinity") or {}
        return any(
            (term.get("labelSelector") or {}).get("matchLabels") == OPERATOR_LABELS
            for term in rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The rule is gone, or what it keeps away from is gone; and the workload runs."""
        if super().cause_removed(cluster, injection):
            return True
        workload = find(cluster, self.target)
        return workload is not None and runs(workload) and find(cluster, self.operator) is None


def _operator_manifest(operator: ObjectRef) -> Manifest:
    container = {
        "name": "operator",
        "image": AUXILIARY_IMAGE,
        "command": ["/bin/sh", "-c", "sleep infinity"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": operator.kind,
        "metadata": {"name": operator.name, "namespace": operator.namespace, "labels": dict(OPERATOR_LABELS)},
        "spec": {
            "selector": {"matchLabels": dict(OPERATOR_LABELS)},
            "template": {
                "metadata": {"labels": dict(OPERATOR_LABELS)},
                "spec": {"tolerations": [{"operator": "Exists"}], "containers": [container]},
            },
        },
    }
