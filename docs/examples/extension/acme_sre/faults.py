"""A fault: a workload still asks for a node pool that was retired."""

from __future__ import annotations

from typing import Any

from harness.cluster import Cluster, Manifest
from scenarios.faults.base import Injection
from scenarios.faults.workload import WorkloadFault

POOL = "acme.example/pool"


class RetiredNodePool(WorkloadFault):
    """A node selector that no node satisfies. Written against `Cluster`, so it runs wherever scenarios play."""

    id = "retired-node-pool"
    index = 1001

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        return {"nodeSelector": {POOL: "spot-2019"}}

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        return POOL in (pod_spec.get("nodeSelector") or {})
