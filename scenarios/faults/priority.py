"""Faults in the priorities of pods.

Owns: ITBench fault 19.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef, wait_rolled_out
from scenarios.faults.base import Injection, find, refuse
from scenarios.faults.init_containers import AUXILIARY_IMAGE
from scenarios.faults.nodes import ROLLOUT_S, choose_worker, host_of, hostname_selector
from scenarios.faults.objects import is_ready, pods_of, quantity
from scenarios.faults.workload import WorkloadFault, runs

CRITICAL, NON_CRITICAL = "application-critical", "application-non-critical"
PRIORITIES = {CRITICAL: 10_000, NON_CRITICAL: 1}
LABELS = {"app.kubernetes.io/component": "workload", "app.kubernetes.io/managed-by": "ITBench"}
COLLECTOR = "critical-data-collector"
COLLECTOR_LABELS = {"app.kubernetes.io/name": COLLECTOR}
REPLICAS = 21


class PriorityPreemption(WorkloadFault):
    """Fault 19: on the node to which the workload is pinned, pods of higher priority take all the room.

    As published, they request processor time. A workload that requests none, as kafka, is never evicted for it, and
    on nodes of less than 21 cores they all fit. The repaired injection has them request memory."""

    id = "priority-kubernetes-workload-priority-preemption"
    index = 19
    as_published: bool = Field(default=False, alias="asPublished")
    """Inject what is published, although it may evict nobody."""

    @property
    def collector(self) -> ObjectRef:
        """The Deployment of high priority that the fault brings along."""
        return ObjectRef("Deployment", COLLECTOR, self.target.namespace)

    @property
    def classes(self) -> tuple[ObjectRef, ...]:
        """The PriorityClasses that the fault brings along."""
        return tuple(ObjectRef("PriorityClass", name) for name in PRIORITIES)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.collector, *self.classes)

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        node = choose_worker(self, cluster, workload)
        return {"nodeSelector": hostname_selector(node), "priorityClassName": NON_CRITICAL}

    def inject(self, cluster: Cluster) -> Injection:
        """The classes come first; the workload takes its node before the collector does."""
        for name, value in PRIORITIES.items():
            metadata = {"name": name, "labels": dict(LABELS)}
            cluster.apply(
                {
                    "apiVersion": "scheduling.k8s.io/v1",
                    "kind": "PriorityClass",
                    "metadata": metadata,
                    "value": value,
                }
            )
        injection = super().inject(cluster)
        if not wait_rolled_out(cluster, self.target, ROLLOUT_S):
            raise refuse(self, self.target, f"not rolled out on one node after {ROLLOUT_S:.0f} s")
        cluster.apply(self._collector_manifest(cluster, injection.original(self.target)))
        created = (*injection.created, self.collector, *self.classes)
        return injection.model_copy(update={"created": created})

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        workload = find(cluster, self.target)
        return (
            workload is not None
            and self.is_broken(workload["spec"]["template"]["spec"], injection)
            and any(not pod["spec"].get("nodeName") for pod in pods_of(cluster, workload))
            and not any(map(is_ready, pods_of(cluster, workload)))
        )

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        return bool(host_of(pod_spec)) and pod_spec.get("priorityClassName") == NON_CRITICAL

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """Nothing that outranks the workload fills its node, and the workload runs."""
        if super().cause_removed(cluster, injection):
            return True
        workload, collector = find(cluster, self.target), find(cluster, self.collector)
        if workload is None or not runs(workload):
            return False
        return collector is None or collector["spec"].get("replicas", 1) < REPLICAS

    def _collector_manifest(self, cluster: Cluster, workload: Manifest) -> Manifest:
        node = choose_worker(self, cluster, workload)
        container = {
            "name": "collector",
            "image": AUXILIARY_IMAGE,
            "command": ["/bin/sh", "-c", "sleep infinity"],
            "resources": {"requests": self._requests(node["status"]["allocatable"])},
        }
        return {
            "apiVersion": "apps/v1",
            "kind": self.collector.kind,
            "metadata": {
                "name": COLLECTOR,
                "namespace": self.collector.namespace,
                "labels": dict(COLLECTOR_LABELS),
            },
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": dict(COLLECTOR_LABELS)},
                "template": {
                    "metadata": {"labels": dict(COLLECTOR_LABELS)},
                    "spec": {
                        "nodeSelector": hostname_selector(node),
                        "priorityClassName": CRITICAL,
                        "containers": [container],
                    },
                },
            },
        }

    def _requests(self, allocatable: Manifest) -> dict[str, str]:
        if self.as_published:
            return {"cpu": f"{int((quantity(allocatable['cpu']) - 1) / 20 * 1000)}m", "memory": "1Mi"}
        return {"cpu": "1m", "memory": f"{int(quantity(allocatable['memory']) / REPLICAS / 2**20)}Mi"}
