"""Faults in how pods reach each other: name resolution, network policies.

Owns: ITBench faults 4 and 6.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef
from scenarios.faults.base import Fault, Injection, KubernetesObject, WorkloadKind, find, require
from scenarios.faults.objects import is_ready, pods_of
from scenarios.faults.workload import WorkloadFault

CLUSTER_NAMES = ("ClusterFirst", "ClusterFirstWithHostNet")


class FailingNameResolution(WorkloadFault):
    """Fault 4: the pods ask the node's name server, which does not know the cluster's names."""

    id = "failing-name-resolution-kubernetes-workload-dns-policy"
    index = 4

    def bad_pod_spec(self, cluster: Cluster, workload: Manifest) -> dict[str, Any]:
        return {"dnsPolicy": "Default"}

    def shows(self, broken_pod: Manifest) -> bool:
        """The pod is ready: it has taken over from the one that could resolve names."""
        return is_ready(broken_pod)

    def is_broken(self, pod_spec: Manifest, injection: Injection) -> bool:
        return pod_spec.get("dnsPolicy", CLUSTER_NAMES[0]) not in CLUSTER_NAMES


class IngressBlockingNetworkPolicy(Fault):
    """Fault 6: a network policy that lets nobody in.

    As published, its only rule has empty ports and no peers, which by the API's semantics admits everything from
    everywhere. The repaired injection has no rule, which is what the fault is meant to do."""

    id = "ingress-port-blocking-network-policy"
    index = 6
    kubernetes_object: KubernetesObject[WorkloadKind] = Field(alias="kubernetesObject")
    as_published: bool = Field(default=False, alias="asPublished")
    """Inject what is published, although it has no effect."""

    @property
    def target(self) -> ObjectRef:
        """The workload."""
        return self.kubernetes_object.ref

    @property
    def policy(self) -> ObjectRef:
        """The NetworkPolicy that the fault brings along."""
        return ObjectRef("NetworkPolicy", f"{self.target.name}-ingress", self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.policy,)

    def inject(self, cluster: Cluster) -> Injection:
        workload = require(self, cluster, self.target)
        labels = workload["spec"]["template"]["metadata"]["labels"]
        time = cluster.now()
        cluster.apply(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": self.policy.kind,
                "metadata": {"name": self.policy.name, "namespace": self.policy.namespace},
                "spec": {
                    "podSelector": {"matchLabels": dict(labels)},
                    "policyTypes": ["Ingress"],
                    "ingress": [{"ports": []}] if self.as_published else [],
                },
            }
        )
        return self.record(cluster, time, created=(self.policy,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        return find(cluster, self.policy) is not None

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """No policy selects the workload's pods without admitting anybody to each of their ports."""
        workload = find(cluster, self.target)
        if workload is None or not any(map(is_ready, pods_of(cluster, workload))):
            return False
        policy = find(cluster, self.policy)
        return policy is None or not _blocks(policy["spec"], workload["spec"]["template"])


def _blocks(policy: Manifest, template: Manifest) -> bool:
    """Whether a policy selects the pods and leaves one of their ports without any rule for everybody."""
    wanted = (policy.get("podSelector") or {}).get("matchLabels") or {}
    labels = template["metadata"]["labels"]
    if "Ingress" not in (policy.get("policyTypes") or ["Ingress"]) or not wanted.items() <= labels.items():
        return False
    ports = [port for each in template["spec"]["containers"] for port in each.get("ports") or ()]
    rules = [rule for rule in policy.get("ingress") or () if not rule.get("from")]
    return not rules or not all(any(_covers(rule, port) for rule in rules) for port in ports)


def _covers(rule: Manifest, port: Manifest) -> bool:
    entries = rule.get("ports") or ()
    return not entries or any(
        entry.get("port") in (None, port["containerPort"], port.get("name")) for entry in entries
    )
