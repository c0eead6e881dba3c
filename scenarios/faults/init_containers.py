"""Faults in the init containers of a workload.

Owns: ITBench faults 2 and 5.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef
from scenarios.faults.base import Injection, find
from scenarios.faults.workload import WorkloadFault, runs

AUXILIARY_IMAGE = "registry.access.redhat.com/ubi10/ubi-minimal:latest"
PYTHON_IMAGE = "registry.access.redhat.com/ubi10/python-314-minimal:latest"
INIT_CONTAINER = "worker"
HOME = "/opt/app-root/src"
BAD_CONFIG = '{\n  "recommendations": {\n    "limit": 5,\n    "strategy": "similar"\n  \n'
LOAD_CONFIG = """\
import json
import pathlib
import sys

path = pathlib.Path.home() / "config" / "config.json"
config = json.loads(path.read_text())
print(f"loaded {len(config)} settings from {path}", file=sys.stderr)
"""
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


class CrashingInitContainer(WorkloadFault):
    """Fault 2: an init container that loads a configuration file which is no JSON, and ends with an error."""

    id = "crashing-kubernetes-workload-init-container"
    index = 2
    config_map_name: str = Field(default="", alias="configMapName")
    """Upstream ignores this argument, and so does the fault: the ConfigMap is called after the workload."""

    @property
    def config_map(self) -> ObjectRef:
        """The ConfigMap that the fault brings along."""
        return ObjectRef("ConfigMap", f"{self.target.name}-config", self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.config_map)

    def prepare(self, cluster: Cluster) -> tuple[ObjectRef, ...]:
        metadata = {"name": self.config_map.name, "namespace": self.config_map.namespace}
        data = {"config": BAD_CONFIG, "script": LOAD_CONFIG}
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        return (self.config_map,)

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        worker = {
            "name": INIT_CONTAINER,
            "image": PYTHON_IMAGE,
            "command": ["/bin/sh", "-c", "python3.14 ~/scripts/load_config.py"],
            "volumeMounts": [
                {"name": volume, "mountPath": f"{HOME}/{volume}", "readOnly": True}
                for volume in ("config", "scripts")
            ],
        }
        files = (("config", "config", "config.json"), ("scripts", "script", "load_config.py"))
        volumes = [
            {
                "name": volume,
                "configMap": {"name": self.config_map.name, "items": [{"key": key, "path": path}]},
            }
            for volume, key, path in files
        ]
        return {"initContainers": [worker], "volumes": volumes}

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        return any(
            "load_config.py" in " ".join(container.get("command") or [])
            for container in pod_spec.get("initContainers") or []
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The init container is gone, or what it loads is JSON; and the workload runs."""
        if super().cause_removed(cluster, injection):
            return True
        workload, config_map = find(cluster, self.target), find(cluster, self.config_map)
        if workload is None or config_map is None or not runs(workload):
            return False
        try:
            json.loads((config_map.get("data") or {}).get("config", ""))
        except ValueError:
            return False
        return True
