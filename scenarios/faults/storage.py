"""Faults in the storage of a workload.

Owns: ITBench fault 17.
"""

from __future__ import annotations

from typing import Any

from harness.cluster import Cluster, Manifest, ObjectRef
from scenarios.faults.base import Injection, find
from scenarios.faults.objects import pods_of
from scenarios.faults.workload import ContainerFault, runs

VOLUME = "database"
BAD_CLASS = "invalid-class-name"


class NonexistentPersistentVolumeClaim(ContainerFault):
    """Fault 17: a volume whose claim names a storage class that does not exist, so that it is never bound."""

    id = "nonexistent-kubernetes-workload-persistent-volume-claim"
    index = 17

    @property
    def claim(self) -> ObjectRef:
        """The PersistentVolumeClaim that the fault brings along."""
        return ObjectRef("PersistentVolumeClaim", self.target.name, self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.claim)

    def prepare(self, cluster: Cluster) -> tuple[ObjectRef, ...]:
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": self.claim.kind,
                "metadata": {"name": self.claim.name, "namespace": self.claim.namespace},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": BAD_CLASS,
                    "resources": {"requests": {"storage": "25Mi"}},
                },
            }
        )
        return (self.claim,)

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        mount = {"name": VOLUME, "mountPath": "/data/database"}
        return {
            "securityContext": {"fsGroup": 1000},
            "containers": [{"name": self.container.name, "volumeMounts": [mount]}],
            "volumes": [{"name": VOLUME, "persistentVolumeClaim": {"claimName": self.claim.name}}],
        }

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        return any(
            (volume.get("persistentVolumeClaim") or {}).get("claimName") == self.claim.name
            for volume in pod_spec.get("volumes") or []
        )

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return False

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The claim is bound or nobody uses it, and the workload runs."""
        if super().cause_removed(cluster, injection):
            return True
        workload, claim = find(cluster, self.target), find(cluster, self.claim)
        return (
            workload is not None
            and claim is not None
            and claim.get("status", {}).get("phase") == "Bound"
            and runs(workload)
            and bool(pods_of(cluster, workload))
        )
