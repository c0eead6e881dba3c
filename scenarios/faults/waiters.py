"""ITBench's four waiters: what a scenario does before and after its injections.

Owns: their arguments and effects. A waiter lets time pass on the cluster's clock only.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from harness.cluster import Cluster, ObjectRef, is_rolled_out, rollout_restart, scale, wait_until
from harness.errors import InfrastructureError
from scenarios.faults.base import KubernetesObject, Model, WorkloadKind, find
from scenarios.faults.objects import pods_of

ROLLOUT_S = 300.0
"""How long upstream waits for a roll-out: 20 times 15 s."""


class Waiter(Model):
    """One thing to do beside an injection."""

    id: ClassVar[str]

    @abstractmethod
    def run(self, cluster: Cluster) -> None:
        """Do it. Raises InfrastructureError("infra_inject_failed") when the cluster does not follow."""


class WorkloadWaiter(Waiter):
    """A waiter that aims at a workload."""

    kubernetes_object: KubernetesObject[WorkloadKind] = Field(alias="kubernetesObject")

    @property
    def target(self) -> ObjectRef:
        """The workload."""
        return self.kubernetes_object.ref

    def fail(self, detail: str) -> InfrastructureError:
        """The error of a waiter whose workload does not follow."""
        return InfrastructureError("infra_inject_failed", f"{self.id}: {self.target}: {detail}")

    def await_roll_out(self, cluster: Cluster) -> None:
        """Wait until the workload is rolled out."""

        def rolled_out() -> bool:
            workload = find(cluster, self.target)
            return workload is not None and is_rolled_out(workload)

        if not wait_until(cluster, rolled_out, ROLLOUT_S):
            raise self.fail(f"not rolled out after {ROLLOUT_S:.0f} s")


class DeleteWorkloadPods(WorkloadWaiter):
    """Delete all pods of a workload, so that new ones start from its present template."""

    id = "delete-workload-pods"

    def run(self, cluster: Cluster) -> None:
        workload = find(cluster, self.target)
        if workload is None:
            raise self.fail("not found")
        for pod in pods_of(cluster, workload):
            cluster.delete("Pod", pod["metadata"]["name"], self.target.namespace)


class PauseExecution(Waiter):
    """Let time pass."""

    id = "pause-execution"
    seconds: float = Field(ge=0)

    def run(self, cluster: Cluster) -> None:
        cluster.wait(self.seconds)


class RestartKubernetesWorkload(WorkloadWaiter):
    """Restart a workload and wait for its roll-out."""

    id = "restart-kubernetes-workload"

    def run(self, cluster: Cluster) -> None:
        if find(cluster, self.target) is None:
            raise self.fail("not found")
        rollout_restart(cluster, *self.target)
        self.await_roll_out(cluster)


class ScaleKubernetesWorkload(WorkloadWaiter):
    """Scale a workload and wait until it has that many replicas."""

    id = "scale-kubernetes-workload"
    replicas: int = Field(ge=0)

    def run(self, cluster: Cluster) -> None:
        if find(cluster, self.target) is None:
            raise self.fail("not found")
        scale(cluster, *self.target, replicas=self.replicas)
        self.await_roll_out(cluster)


WAITERS: dict[str, type[Waiter]] = {
    waiter.id: waiter
    for waiter in (DeleteWorkloadPods, PauseExecution, RestartKubernetesWorkload, ScaleKubernetesWorkload)
}
