"""Which scenarios a live cluster can play, and why not the others.

Owns: what each fault needs beyond plain Kubernetes, and how a cluster shows that it has it. Does not own: faults.

    enforced NetworkPolicies   ingress-port-blocking-network-policy
    Istio                      the gateway, ambient-mode and mutual-TLS faults
    Chaos Mesh                 scheduled-chaos-mesh-experiment
    the nodes for itself       cordoned node (of two at least), priority preemption, API server surge
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from harness.cluster import ClusterError, Manifest
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.errors import Problem
from harness.live_config import KubernetesConfig
from scenarios.faults.api_server import ApiServerRequestSurge
from scenarios.faults.chaos import ScheduledChaosExperiment
from scenarios.faults.mesh import DisabledAmbientMode, GatewayDenial, StrictMutualTls
from scenarios.faults.networking import IngressBlockingNetworkPolicy
from scenarios.faults.nodes import CordonedNode
from scenarios.faults.priority import PriorityPreemption
from scenarios.schema import Scenario

APPLICATIONS = ("otel-demo",)
"""Applications whose workloads the shop's image plays."""
POLICY_PLUGINS = ("antrea", "calico", "canal", "cilium", "kube-ovn", "kube-router", "ovnkube", "weave")
"""Network plugins that enforce NetworkPolicies, by how their DaemonSets are called."""


class Need(NamedTuple):
    """Something that plain Kubernetes does not have."""

    what: str
    met: Callable[[KubernetesCluster, KubernetesConfig], bool]
    hint: str


def takes_pods(node: Manifest) -> bool:
    """Whether pods without tolerations may be scheduled there."""
    spec = node.get("spec", {})
    tainted = any(one["effect"] != "PreferNoSchedule" for one in spec.get("taints") or ())
    return not spec.get("unschedulable") and not tainted


def enforces_policies(cluster: KubernetesCluster, settings: KubernetesConfig) -> bool:
    """Whether NetworkPolicies are enforced: as configured, or because a plugin runs that is known to."""
    if settings.network_policies is not None:
        return settings.network_policies
    names = [one["metadata"]["name"] for one in cluster.list("DaemonSet")]
    return any(plugin in name for name in names for plugin in POLICY_PLUGINS)


POLICIES = Need(
    "a network plugin that enforces NetworkPolicies",
    enforces_policies,
    "install Calico or Cilium, or set environment.kubernetes.network_policies=true",
)
ISTIO = Need("Istio", lambda cluster, _: cluster.serves("PeerAuthentication"), "install Istio")
CHAOS = Need("Chaos Mesh", lambda cluster, _: cluster.serves("Schedule"), "install Chaos Mesh")
NODES = Need(
    "the cluster's nodes for itself",
    lambda _, settings: settings.node_faults,
    "on a cluster that nobody else uses: environment.kubernetes.node_faults=true, max_trials=1",
)
SPARE = Need(
    "two nodes that take pods",
    lambda cluster, _: sum(takes_pods(node) for node in cluster.list("Node")) > 1,
    "with one node there is nowhere to go: add another",
)
NEEDS: dict[str, tuple[Need, ...]] = {
    IngressBlockingNetworkPolicy.id: (POLICIES,),
    DisabledAmbientMode.id: (ISTIO,),
    GatewayDenial.id: (ISTIO,),
    StrictMutualTls.id: (ISTIO,),
    ScheduledChaosExperiment.id: (CHAOS,),
    CordonedNode.id: (NODES, SPARE),
    PriorityPreemption.id: (NODES,),
    ApiServerRequestSurge.id: (NODES,),
}
"""What faults need, by their ITBench id; all others need nothing that plain Kubernetes has not."""


def refusals(
    scenarios: Sequence[Scenario], cluster: KubernetesCluster, settings: KubernetesConfig
) -> list[Problem]:
    """Every reason why a scenario cannot be played there. Raises ClusterError."""
    answers: dict[str, bool] = {}
    found: list[Problem] = []
    for scenario in scenarios:
        where = f"scenario {scenario.id}"
        if settings.attached is None and scenario.application not in APPLICATIONS:
            hint = f"own-application mode has {', '.join(APPLICATIONS)}"
            found.append(Problem(where, f"is about {scenario.application}, which is not deployed here", hint))
        for fault, need in needs_of(scenario):
            if need.what not in answers:
                answers[need.what] = _met(need, cluster, settings)
            if not answers[need.what]:
                found.append(Problem(where, f"{fault} needs {need.what}", need.hint))
    return found


def needs_of(scenario: Scenario) -> Iterator[tuple[str, Need]]:
    """(fault, what it needs), each once."""
    for fault in dict.fromkeys(injection.fault for injection in scenario.injections()):
        for need in NEEDS.get(fault, ()):
            yield fault, need


def _met(need: Need, cluster: KubernetesCluster, settings: KubernetesConfig) -> bool:
    try:
        return need.met(cluster, settings)
    except ClusterError as error:
        raise ClusterError(f"cannot tell whether there is {need.what}: {error}") from None
