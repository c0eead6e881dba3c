"""Faults in the service mesh: out of ambient mode, plain text refused, requests denied at a Gateway.

Owns: ITBench faults 3, 22 and 23.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef, wait_rolled_out
from scenarios.faults.api_server import NamespaceObject
from scenarios.faults.base import Fault, Injection, KubernetesObject, WorkloadKind, find, refuse, require
from scenarios.faults.objects import is_ready, pods_of
from scenarios.faults.workload import runs

MODE = "istio.io/dataplane-mode"
STRICT_POLICY = "mtls-strict"
SECURITY = "security.istio.io/v1"
ROLLOUT_S = 300.0


class DisabledAmbientMode(Fault):
    """Fault 3: the namespace is out of ambient mode, so the mesh sees nothing of it any more."""

    id = "disabled-istio-ambient-mode-kubernetes-namespace"
    index = 3
    kubernetes_object: NamespaceObject = Field(alias="kubernetesObject")

    @property
    def target(self) -> ObjectRef:
        """The Namespace."""
        return ObjectRef("Namespace", self.kubernetes_object.metadata.name)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target,)

    def inject(self, cluster: Cluster) -> Injection:
        namespace, time = require(self, cluster, self.target), cluster.now()
        cluster.patch(*self.target, {"metadata": {"labels": {MODE: "none"}}})
        return self.record(cluster, time, before=(namespace,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        namespace = find(cluster, self.target)
        return namespace is not None and _mode(namespace["metadata"]) == "none"

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The namespace is in ambient mode, and what ran in it still does."""
        namespace = find(cluster, self.target)
        if namespace is None or _mode(namespace["metadata"]) != "ambient":
            return False
        return any(is_ready(pod) for pod in cluster.list("Pod", self.target.name))


class StrictMutualTls(Fault):
    """Fault 22: the namespace takes mutual TLS only, and one workload is kept out of the mesh that provides it."""

    id = "strict-mutual-tls-istio-service-mesh-enforcement"
    index = 22
    kubernetes_object: KubernetesObject[WorkloadKind] = Field(alias="kubernetesObject")

    @property
    def target(self) -> ObjectRef:
        """The workload."""
        return self.kubernetes_object.ref

    @property
    def policy(self) -> ObjectRef:
        """The PeerAuthentication that the fault brings along."""
        return ObjectRef("PeerAuthentication", STRICT_POLICY, self.target.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target, self.policy)

    def inject(self, cluster: Cluster) -> Injection:
        workload, time = require(self, cluster, self.target), cluster.now()
        spec = {"mtls": {"mode": "STRICT"}}
        cluster.apply(_policy(self.policy, spec))
        cluster.patch(*self.target, {"spec": {"template": {"metadata": {"labels": {MODE: "none"}}}}})
        if not wait_rolled_out(cluster, self.target, ROLLOUT_S):
            raise refuse(self, self.target, f"not rolled out after {ROLLOUT_S:.0f} s")
        return self.record(cluster, time, before=(workload,), created=(self.policy,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        workload = find(cluster, self.target)
        return workload is not None and self._is_strict(cluster) and not self._in_mesh(cluster, workload)

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The workload's pods take part in the mesh, or the policy does not insist on it; and they run."""
        workload = find(cluster, self.target)
        if workload is None or not runs(workload):
            return False
        return self._in_mesh(cluster, workload) or not self._is_strict(cluster)

    def _is_strict(self, cluster: Cluster) -> bool:
        """Whether any policy for the whole namespace is strict, whatever it is called."""
        specs = [policy.get("spec") or {} for policy in cluster.list(self.policy.kind, self.policy.namespace)]
        return any(
            (spec.get("mtls") or {}).get("mode") == "STRICT" for spec in specs if not spec.get("selector")
        )

    def _in_mesh(self, cluster: Cluster, workload: Manifest) -> bool:
        """Whether the template and every pod are in the mesh, by their own label or the namespace's."""
        namespace = find(cluster, ObjectRef("Namespace", self.target.namespace)) or {"metadata": {}}
        default = _mode(namespace["metadata"])
        carriers = [workload["spec"]["template"].get("metadata") or {}]
        carriers += [pod["metadata"] for pod in pods_of(cluster, workload)]
        return all((_mode(metadata) or default) == "ambient" for metadata in carriers)


class GatewayDenial(Fault):
    """Fault 23: a policy on the Gateway denies requests of some methods."""

    id = "traffic-denying-istio-gateway-authorization-policy"
    index = 23
    kubernetes_object: KubernetesObject[Literal["Gateway"]] = Field(alias="kubernetesObject")
    http_methods: tuple[str, ...] = Field(alias="httpMethods", min_length=1)

    @property
    def gateway(self) -> ObjectRef:
        """The Gateway."""
        return self.kubernetes_object.ref

    @property
    def policy(self) -> ObjectRef:
        """The AuthorizationPolicy that the fault brings along."""
        return ObjectRef("AuthorizationPolicy", f"{self.gateway.name}-deny", self.gateway.namespace)

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.policy,)

    def inject(self, cluster: Cluster) -> Injection:
        require(self, cluster, self.gateway)
        time = cluster.now()
        target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": self.gateway.name}
        rule = {"to": [{"operation": {"methods": list(self.http_methods)}}]}
        cluster.apply(_policy(self.policy, {"action": "DENY", "targetRef": target, "rules": [rule]}))
        return self.record(cluster, time, created=(self.policy,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        return self._denied(cluster)

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """The Gateway stands, and no policy on it, whatever it is called, denies these methods."""
        return find(cluster, self.gateway) is not None and not self._denied(cluster)

    def _denied(self, cluster: Cluster) -> bool:
        policies = cluster.list(self.policy.kind, self.policy.namespace)
        return any(self._denies(policy.get("spec") or {}) for policy in policies)

    def _denies(self, spec: Manifest) -> bool:
        targets = [spec.get("targetRef") or {}, *(spec.get("targetRefs") or [])]
        aimed = any(one.get("kind") == "Gateway" and one.get("name") == self.gateway.name for one in targets)
        if spec.get("action") != "DENY" or not aimed:
            return False
        operations = [
            to.get("operation") or {} for rule in spec.get("rules") or [] for to in rule.get("to") or [{}]
        ]
        methods = [set(operation.get("methods") or self.http_methods) for operation in operations]
        return any(denied & set(self.http_methods) for denied in methods)


def _mode(metadata: Manifest) -> str:
    return str((metadata.get("labels") or {}).get(MODE, ""))


def _policy(policy: ObjectRef, spec: Manifest) -> Manifest:
    metadata = {"name": policy.name, "namespace": policy.namespace}
    return {"apiVersion": SECURITY, "kind": policy.kind, "metadata": metadata, "spec": spec}
