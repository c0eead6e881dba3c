"""Faults in a container of a workload: resources, command, environment, image.

Owns: ITBench faults 8, 9, 12, 13, 15, 24 and 26, each exactly the mutation of its fault index.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from harness.cluster import Cluster, Manifest
from scenarios.faults.base import Container, Injection, Model, find, refuse, require
from scenarios.faults.nodes import choose_worker, hostname_selector
from scenarios.faults.objects import is_steady, pods_of, quantity
from scenarios.faults.workload import ContainerFault


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
            and all(is_steady(pod, self.container.name, cluster.now()) for pod in pods_of(cluster, workload))
        )


class InvalidCommand(ContainerFault):
    """Fault 9: a command that does not exist in the image."""

    id = "invalid-kubernetes-workload-container-command"
    index = 9

    def bad_container(self) -> dict[str, Any]:
        return {"command": ["invalid-command"]}

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return bool(container.get("command") == ["invalid-command"])


class MisconfiguredReadinessProbe(ContainerFault):
    """Fault 12: a readiness probe that asks a port on which nothing listens."""

    id = "misconfigured-kubernetes-workload-container-readiness-probe"
    index = 12

    def bad_container(self) -> dict[str, Any]:
        return {
            "readinessProbe": {
                "httpGet": {"path": "/ready", "port": 40, "scheme": "HTTP"},
                "failureThreshold": 3,
                "periodSeconds": 5,
                "successThreshold": 1,
                "timeoutSeconds": 3,
            }
        }

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        """Any other probe is judged by whether its pods get ready."""
        action = (container.get("readinessProbe") or {}).get("httpGet") or {}
        return bool(action.get("port") == 40)


class UnassignedResourceLimits(ContainerFault):
    """Fault 24: no resource limits, so that a container may take what its node has."""

    id = "unassigned-kubernetes-workload-container-resource-limits"
    index = 24

    def bad_container(self) -> dict[str, Any]:
        return {"resources": {"limits": None}}

    def shows(self, broken_pod: Manifest) -> bool:
        """Harmless on its own: a pod without limits is all there is to see."""
        return True

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        limits = (container.get("resources") or {}).get("limits") or {}
        wanted = (before.get("resources") or {}).get("limits") or {}
        return any(resource not in limits for resource in wanted)


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
        node = choose_worker(self, cluster, workload)
        labels = node["metadata"].get("labels", {})
        node_info = node.get("status", {}).get("nodeInfo", {})
        architecture = node_info.get("architecture") or labels.get("kubernetes.io/arch", "amd64")
        other = "arm64" if architecture == "amd64" else "amd64"
        image = f"quay.io/it-bench/hello-bench-{other}:2.0.0"
        return {
            "nodeSelector": hostname_selector(node),
            "containers": [{"name": self.container.name, "image": image}],
        }

    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        return bool(container["image"] != before["image"])
