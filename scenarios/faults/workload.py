"""Faults that change the pod template of a Deployment or StatefulSet: what they have in common.

Owns: inject by strategic merge patch, and the shape of their predicates: the bad state is gone from the
template *and* from every live pod, and the roll-out is complete. Does not own: any single mechanism.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef, is_rolled_out
from scenarios.faults.base import (
    Container,
    Fault,
    Injection,
    KubernetesObject,
    WorkloadKind,
    find,
    refuse,
    require,
)
from scenarios.faults.objects import is_ready, pods_of, restarts


class WorkloadFault(Fault):
    """A fault in the pod template of a workload."""

    kubernetes_object: KubernetesObject[WorkloadKind] = Field(alias="kubernetesObject")

    @property
    def target(self) -> ObjectRef:
        """The workload."""
        return self.kubernetes_object.ref

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target,)

    @abstractmethod
    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        """The strategic merge patch of `spec.template.spec`."""

    @abstractmethod
    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        """Whether this pod spec still carries the bad state."""

    def prepare(self, cluster: Cluster) -> tuple[ObjectRef, ...]:
        """Create what the mutation relies on; returns what was created."""
        return ()

    def inject(self, cluster: Cluster) -> Injection:
        workload = require(self, cluster, self.target)
        time = cluster.now()
        pod_spec = self.bad_pod_spec(cluster, workload)
        created = self.prepare(cluster)
        cluster.patch(*self.target, {"spec": {"template": {"spec": pod_spec}}})
        return self.record(cluster, time, before=(workload,), created=created)

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        """The template is broken and so is a pod that does not get Ready."""
        workload = find(cluster, self.target)
        if workload is None or not self.is_broken(_pod_spec(workload), injection):
            return False
        return any(
            self.is_broken(pod["spec"], injection) and self.shows(pod) for pod in pods_of(cluster, workload)
        )

    def shows(self, broken_pod: Manifest) -> bool:
        """Whether a broken pod already shows the effect: by default, that it is not Ready or crashed."""
        return not is_ready(broken_pod) or restarts(broken_pod) > 0

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        workload = find(cluster, self.target)
        return (
            workload is not None
            and not self.is_broken(_pod_spec(workload), injection)
            and runs(workload)
            and not any(self.is_broken(pod["spec"], injection) for pod in pods_of(cluster, workload))
        )


class ContainerFault(WorkloadFault):
    """A fault in one container of a workload."""

    container: Container

    def inject(self, cluster: Cluster) -> Injection:
        workload = require(self, cluster, self.target)
        if self.find_container(_pod_spec(workload)) is None:
            names = ", ".join(item["name"] for item in _pod_spec(workload).get("containers", []))
            raise refuse(self, self.target, f"has no container {self.container.name!r}; it has {names}")
        return super().inject(cluster)

    def find_container(self, pod_spec: Manifest) -> Manifest | None:
        """The container that the fault aims at, or None."""
        for container in pod_spec.get("containers", []):
            if container["name"] == self.container.name:
                return dict(container)
        return None

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        return {"containers": [{"name": self.container.name, **self.bad_container()}]}

    def bad_container(self) -> dict[str, Any]:
        """The strategic merge patch of the container."""
        raise NotImplementedError

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        container = self.find_container(pod_spec)
        if container is None:
            return True
        before = self.find_container(_pod_spec(injection.original(self.target)))
        return self.is_broken_container(container, before or {})

    @abstractmethod
    def is_broken_container(self, container: Manifest, before: Manifest) -> bool:
        """Whether the container still carries the bad state; `before` is how it was before the injection."""


def runs(workload: Manifest) -> bool:
    """Whether the workload wants at least one pod and all that it wants run its present template."""
    return workload["spec"].get("replicas", 1) >= 1 and is_rolled_out(workload)


def _pod_spec(workload: Manifest) -> Manifest:
    pod_spec: Manifest = workload["spec"]["template"]["spec"]
    return pod_spec
