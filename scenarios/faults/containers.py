"""Faults in a container of a workload: resources, command, environment, image.

Owns: ITBench faults 8, 9, 13, 15 and 26, each exactly the mutation of its fault index.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef
from scenarios.faults.base import Container, Injection, Model, find, refuse, require
from scenarios.faults.objects import pods_of, quantity, seconds
from scenarios.faults.workload import ContainerFault

OOM_MEMORY_S = 300.0
"""An out-of-memory kill this recent says that the memory limit is still too low."""
STEADY_S = 60.0
"""A container must have run this long before its memory limit is held to be enough."""
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
HOSTNAME = "kubernetes.io/hostname"


class InsufficientResources(ContainerFault):
    """Fault 8: limits and requests far below what the container needs, so that it is killed."""

    id = "insufficient-kubernetes-workload-container-resources"
    index = 8

    def bad_container(self) -> dict[str, Any]:
        tiny = {"cpu": "5m", "memory": "5Mi"}
        return {"resources": {"limits": dict(tiny), "requests": dict(tiny)}}

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        limits = container.get("resources", {}).get("limits") or {}
        return any(
            name in limits and quantity(limits[name]) <= quantity(bad)
            for name, bad in self.bad_container()["resources"]["limits"].items()
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """A limit that is merely less wrong shows as kills soon after each start."""
        workload = find(cluster, self.target)
        return (
            workload is not None
            and super().cause_removed(cluster, injection)
            and all(self._is_steady(pod, cluster.now()) for pod in pods_of(cluster, workload))
        )

    def _is_steady(self, pod: Manifest, now: float) -> bool:
        """The container has run for a while, and its last end, if any, was no recent out-of-memory kill."""
        for status in pod.get("status", {}).get("containerStatuses", []):
            if status["name"] == self.container.name:
                running = status.get("state", {}).get("running")
                ended = status.get("lastState", {}).get("terminated") or {}
                killed = (
                    ended.get("reason") == "OOMKilled" and seconds(ended["finishedAt"]) > now - OOM_MEMORY_S
                )
                return bool(running) and seconds(running["startedAt"]) <= now - STEADY_S and not killed
        return False


class InvalidCommand(ContainerFault):
    """Fault 9: a command that does not exist in the image."""

    id = "invalid-kubernetes-workload-container-command"
    index = 9

    def bad_container(self) -> dict[str, Any]:
        return {"command": ["invalid-command"]}

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return bool(container.get("command") == ["invalid-command"])


class EnvironmentVariable(Model):
    """Name and bad value of an environment variable."""

    name: str = Field(min_length=1)
    value: str


class ContainerWithEnvironment(Container):
    """ITBench's `container` argument of fault 13."""

    env: EnvironmentVariable


class ModifiedEnvironmentVariable(ContainerFault):
    """Fault 13: an environment variable with a wrong value."""

    id = "modified-kubernetes-workload-container-environment-variable"
    index = 13
    container: ContainerWithEnvironment

    def inject(self, cluster: Cluster) -> Injection:
        workload = require(self, cluster, self.target)
        container = self.find_container(workload["spec"]["template"]["spec"])
        if container is not None and self._variable(container) is None:
            raise refuse(self, self.target, f"has no environment variable {self.container.env.name!r}")
        return super().inject(cluster)

    def bad_container(self) -> dict[str, Any]:
        return {"env": [{"name": self.container.env.name, "value": self.container.env.value}]}

    def shows(self, broken_pod: Manifest) -> bool:
        """The process has started with the bad value, whether or not it survived."""
        for status in broken_pod.get("status", {}).get("containerStatuses", []):
            if status["name"] == self.container.name:
                return "running" in status.get("state", {}) or status.get("restartCount", 0) > 0
        return False

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return self._variable(container) != self._variable(before)

    def _variable(self, container: Manifest) -> Manifest | None:
        for variable in container.get("env", []):
            if variable["name"] == self.container.env.name:
                return dict(variable)
        return None


class NonexistentImage(ContainerFault):
    """Fault 15: an image that no registry has."""

    id = "nonexistent-kubernetes-workload-container-image"
    index = 15

    def bad_container(self) -> dict[str, Any]:
        return {"image": "quay.io/it-bench/hello-bench-invalid:1.0.0"}

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return bool(container["image"] != before["image"])


class UnsupportedArchitectureImage(ContainerFault):
    """Fault 26: an image for another processor architecture, pinned to a worker node."""

    id = "unsupported-architecture-kubernetes-workload-container-image"
    index = 26

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        node = self._choose_worker(cluster, workload)
        labels = node["metadata"].get("labels", {})
        node_info = node.get("status", {}).get("nodeInfo", {})
        architecture = node_info.get("architecture") or labels.get("kubernetes.io/arch", "amd64")
        other = "arm64" if architecture == "amd64" else "amd64"
        image = f"quay.io/it-bench/hello-bench-{other}:2.0.0"
        return {
            "nodeSelector": {HOSTNAME: labels.get(HOSTNAME, node["metadata"]["name"])},
            "containers": [{"name": self.container.name, "image": image}],
        }

    def _choose_worker(self, cluster: Cluster, workload: Manifest) -> Manifest:
        """Any worker, drawn by the workload's uid; on a cluster without workers, any node."""
        nodes = sorted(cluster.list("Node"), key=lambda node: str(node["metadata"]["name"]))
        if not nodes:
            raise refuse(self, ObjectRef("Node", "*"), "the cluster lists no nodes")
        workers = [
            node
            for node in nodes
            if not set(CONTROL_PLANE_LABELS) & set(node["metadata"].get("labels", {}))
            and not node.get("spec", {}).get("unschedulable")
        ]
        candidates = workers or nodes
        draw = hashlib.sha256(str(workload["metadata"].get("uid", "")).encode()).digest()
        return candidates[int.from_bytes(draw[:4], "big") % len(candidates)]

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return bool(container["image"] != before["image"])
