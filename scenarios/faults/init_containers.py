"""Faults in the init containers of a workload.

Owns: ITBench fault 5.
"""

from __future__ import annotations

from typing import Any

from harness.cluster import Cluster, Manifest
from scenarios.faults.base import Injection
from scenarios.faults.workload import WorkloadFault

AUXILIARY_IMAGE = "registry.access.redhat.com/ubi10/ubi-minimal:latest"
INIT_CONTAINER = "worker"
HANGS = "sleep infinity"


class HangingInitContainer(WorkloadFault):
    """Fault 5: an init container that never ends, so that the pod never starts."""

    id = "hanging-kubernetes-workload-init-container"
    index = 5

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        command = ["/bin/sh", "-c", HANGS]
        return {"initContainers": [{"name": INIT_CONTAINER, "image": AUXILIARY_IMAGE, "command": command}]}

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        return any(
            HANGS in " ".join([*(container.get("command") or []), *(container.get("args") or [])])
            for container in pod_spec.get("initContainers") or []
        )
