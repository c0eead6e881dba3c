"""Faults in what a namespace or an autoscaler allows: quotas, utilisation targets, replicas.

Owns: ITBench faults 7, 11 and 20.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from harness.cluster import Cluster, ObjectRef, scale
from scenarios.faults.base import Fault, Injection, KubernetesObject, WorkloadKind, find, require
from scenarios.faults.objects import is_ready, pods_of, quantity
from scenarios.faults.workload import runs

EMPTIED_S = 60.0
"""How long upstream waits after scaling to zero."""


class ScaledWorkloadFault(Fault):
    """A fault that leaves the pod template of a workload as it is."""

    kubernetes_object: KubernetesObject[WorkloadKind] = Field(alias="kubernetesObject")

    @property
    def target(self) -> ObjectRef:
        """The workload."""
        return self.kubernetes_object.ref


class InsufficientResourceQuota(ScaledWorkloadFault):
    """Fault 7: a memory quota below what the namespace uses, and a workload that has to come up under it."""

    id = "insufficient-kubernetes-resource-quota"
    index = 7

    @property
    def quota(self) -> ObjectRef:
        """The ResourceQuota that the fault brings along."""
        return ObjectRef("ResourceQuota", "memory", self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.quota)

    def inject(self, cluster: Cluster) -> Injection:
        workload = require(self, cluster, self.target)
        time = cluster.now()
        metadata = {"name": self.quota.name, "namespace": self.quota.namespace}
        spec = {"hard": {"memory": "1Gi"}}
        cluster.apply({"apiVersion": "v1", "kind": self.quota.kind, "metadata": metadata, "spec": spec})
        scale(cluster, *self.target, replicas=0)
        cluster.wait(EMPTIED_S)
        scale(cluster, *self.target, replicas=workload["spec"].get("replicas", 1))
        return self.record(cluster, time, before=(workload,), created=(self.quota,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        workload = find(cluster, self.target)
        return (
            workload is not None
            and not workload.get("status", {}).get("availableReplicas")
            and find(cluster, self.quota) is not None
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The quota is gone or leaves room for what runs, and the workload runs."""
        workload, quota = find(cluster, self.target), find(cluster, self.quota)
        if workload is None or not runs(workload):
            return False
        hard = ((quota or {}).get("spec", {}).get("hard") or {}).get("memory")
        return hard is None or quantity(hard) >= self._asked(cluster)

    def _asked(self, cluster: Cluster) -> Any:
        """Bytes that the pods of the namespace request, all together."""
        resources = (
            (container.get("resources") or {}).get("requests") or {}
            for pod in cluster.list("Pod", self.target.namespace)
            for container in pod["spec"]["containers"]
        )
        return sum(quantity(requests["memory"]) for requests in resources if "memory" in requests)


class ScaledToZero(ScaledWorkloadFault):
    """Fault 20: no replicas. The replica count is no part of a revision, so a roll-back does not restore it."""

    id = "scaled-to-zero-kubernetes-workload"
    index = 20

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target,)

    def inject(self, cluster: Cluster) -> Injection:
        workload = require(self, cluster, self.target)
        time = cluster.now()
        scale(cluster, *self.target, replicas=0)
        return self.record(cluster, time, before=(workload,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        workload = find(cluster, self.target)
        return (
            workload is not None and not workload["spec"].get("replicas") and not pods_of(cluster, workload)
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        workload = find(cluster, self.target)
        return workload is not None and runs(workload) and any(map(is_ready, pods_of(cluster, workload)))


class MisconfiguredAutoscaler(ScaledWorkloadFault):
    """Fault 11: utilisation targets so low that the autoscaler runs at its maximum.

    As published, the targets are written into the Deployment, which has no such fields, so that nothing changes.
    The repaired injection writes them into the HorizontalPodAutoscaler of the same name."""

    id = "misconfigured-kubernetes-horizontal-pod-autoscaler"
    index = 11
    as_published: bool = Field(default=False, alias="asPublished")
    """Inject what is published, although it has no effect."""

    @property
    def autoscaler(self) -> ObjectRef:
        """The HorizontalPodAutoscaler."""
        return ObjectRef("HorizontalPodAutoscaler", self.target.name, self.target.namespace)

    @property
    def mutated(self) -> ObjectRef:
        """What the targets are written into."""
        return self.target if self.as_published else self.autoscaler

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.mutated,)

    def inject(self, cluster: Cluster) -> Injection:
        manifest = require(self, cluster, self.mutated)
        time = cluster.now()
        cluster.patch(*self.mutated, {"spec": {"metrics": [_metric("cpu", 20), _metric("memory", 30)]}})
        return self.record(cluster, time, before=(manifest,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        manifest = find(cluster, self.mutated)
        return manifest is not None and manifest["spec"].get("metrics") == [
            _metric("cpu", 20),
            _metric("memory", 30),
        ]

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """No target is lower than it was, and none is missing that was there."""
        manifest = find(cluster, self.mutated)
        if manifest is None:
            return False
        now, before = _targets(manifest["spec"]), _targets(injection.original(self.mutated)["spec"])
        return all(now.get(name, 0) >= percent for name, percent in before.items()) and not any(
            percent <= _BAD.get(name, 0) for name, percent in now.items()
        )


_BAD = {"cpu": 20, "memory": 30}


def _metric(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def _targets(spec: dict[str, Any]) -> dict[str, int]:
    """Resource -> utilisation target in percent."""
    resources = [metric.get("resource") or {} for metric in spec.get("metrics") or ()]
    return {
        one["name"]: one.get("target", {}).get("averageUtilization", 0) for one in resources if "name" in one
    }
