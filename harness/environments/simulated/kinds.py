"""The kinds that the simulated API server knows.

Owns: API version, scope and resource name of each kind. Does not own: what controllers do with them; a kind
without a controller is simply stored.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.cluster import NotFound


class Kind(NamedTuple):
    """How the API server names a kind."""

    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """`apps` of `apps/v1`; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """The name in messages: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


EXPERIMENTS = ("HTTPChaos", "IOChaos", "JVMChaos", "NetworkChaos", "PodChaos", "StressChaos")
"""The chaos experiments that can be run."""

KINDS: dict[str, Kind] = {
    "ConfigMap": Kind("v1", "configmaps"),
    "Endpoints": Kind("v1", "endpoints"),
    "Event": Kind("v1", "events"),
    "LimitRange": Kind("v1", "limitranges"),
    "Namespace": Kind("v1", "namespaces", False),
    "Node": Kind("v1", "nodes", False),
    "PersistentVolume": Kind("v1", "persistentvolumes", False),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "Pod": Kind("v1", "pods"),
    "ResourceQuota": Kind("v1", "resourcequotas"),
    "Secret": Kind("v1", "secrets"),
    "Service": Kind("v1", "services"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "DaemonSet": Kind("apps/v1", "daemonsets"),
    "Deployment": Kind("apps/v1", "deployments"),
    "ReplicaSet": Kind("apps/v1", "replicasets"),
    "StatefulSet": Kind("apps/v1", "statefulsets"),
    "HorizontalPodAutoscaler": Kind("autoscaling/v2", "horizontalpodautoscalers"),
    "CronJob": Kind("batch/v1", "cronjobs"),
    "Job": Kind("batch/v1", "jobs"),
    "EndpointSlice": Kind("discovery.k8s.io/v1", "endpointslices"),
    "Ingress": Kind("networking.k8s.io/v1", "ingresses"),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "ClusterRole": Kind("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": Kind("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "PriorityClass": Kind("scheduling.k8s.io/v1", "priorityclasses", False),
    "StorageClass": Kind("storage.k8s.io/v1", "storageclasses", False),
    "Gateway": Kind("gateway.networking.k8s.io/v1", "gateways"),
    "HTTPRoute": Kind("gateway.networking.k8s.io/v1", "httproutes"),
    "AuthorizationPolicy": Kind("security.istio.io/v1", "authorizationpolicies"),
    "PeerAuthentication": Kind("security.istio.io/v1", "peerauthentications"),
    "Schedule": Kind("chaos-mesh.org/v1alpha1", "schedules"),
    **{kind: Kind("chaos-mesh.org/v1alpha1", kind.lower()) for kind in EXPERIMENTS},
}


def kind_of(kind: str) -> Kind:
    """Raises NotFound for a kind that the server does not serve."""
    known = KINDS.get(kind)
    if known is None:
        raise NotFound(f'the server doesn\'t have a resource type "{kind}"')
    return known
