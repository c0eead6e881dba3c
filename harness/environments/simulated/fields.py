"""The fields of the kinds that matter most: where pod specs are, and what is dropped as unknown.

Owns: field lists. An unknown field is pruned, as the API server does without strict validation: a patch of
`spec.image` on a Deployment succeeds and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.cluster import Manifest

WORKLOADS = frozenset({"Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"})
_DEPLOYMENT = """
    replicas selector template strategy minReadySeconds revisionHistoryLimit paused progressDeadlineSeconds
"""
_SERVICE = """
    selector ports type clusterIP clusterIPs externalIPs externalName sessionAffinity sessionAffinityConfig
    ipFamilies ipFamilyPolicy internalTrafficPolicy externalTrafficPolicy publishNotReadyAddresses
    healthCheckNodePort loadBalancerIP loadBalancerClass loadBalancerSourceRanges
    allocateLoadBalancerNodePorts
"""
_POD = """
    containers initContainers ephemeralContainers volumes restartPolicy terminationGracePeriodSeconds
    dnsPolicy
    activeDeadlineSeconds nodeSelector serviceAccountName serviceAccount automountServiceAccountToken
    nodeName hostNetwork hostPID hostIPC shareProcessNamespace securityContext
    imagePullSecrets hostname subdomain affinity
    schedulerName tolerations hostAliases priorityClassName priority dnsConfig readinessGates runtimeClassName
    enableServiceLinks preemptionPolicy overhead topologySpreadConstraints setHostnameAsFQDN os
"""
_CONTAINER = """
    name image command args workingDir ports envFrom env resources volumeMounts volumeDevices livenessProbe
    readinessProbe startupProbe lifecycle terminationMessagePath terminationMessagePolicy imagePullPolicy
    securityContext stdin stdinOnce tty resizePolicy restartPolicy
"""
_FIELDS = {
    "Deployment": frozenset(_DEPLOYMENT.split()),
    "Service": frozenset(_SERVICE.split()),
    "ResourceQuota": frozenset({"hard", "scopes", "scopeSelector"}),
}
_POD_FIELDS = frozenset(_POD.split())
_CONTAINER_FIELDS = frozenset(_CONTAINER.split())


def prune(manifest: Manifest) -> list[str]:
    """Drop fields that the kind does not have and return their paths. Changes its argument."""
    dropped: list[str] = []
    spec, kind = manifest.get("spec"), manifest["kind"]
    if not isinstance(spec, dict):
        return dropped
    if kind in _FIELDS:
        _drop(spec, _FIELDS[kind], "spec", dropped)
    for path, pod_spec in pod_specs(manifest):
        _drop(pod_spec, _POD_FIELDS, path, dropped)
        for field, container in containers_of(pod_spec):
            _drop(container, _CONTAINER_FIELDS, f"{path}.{field}", dropped)
    return dropped


def pod_specs(manifest: Manifest) -> Iterator[tuple[str, Any]]:
    """(path, pod spec) of a pod or of a workload's template."""
    spec = manifest.get("spec")
    if manifest["kind"] == "Pod":
        yield "spec", spec or {}
    elif manifest["kind"] in WORKLOADS and isinstance(spec, dict):
        template = spec.get("template")
        if isinstance(template, dict):
            yield "spec.template.spec", template.get("spec") or {}


def containers_of(pod_spec: Manifest) -> Iterator[tuple[str, Any]]:
    """(field with index, container) of all containers, init containers first."""
    for field in ("initContainers", "containers"):
        for number, container in enumerate(pod_spec.get(field) or ()):
            yield f"{field}[{number}]", container


def _drop(target: Any, known: frozenset[str], path: str, dropped: list[str]) -> None:
    if isinstance(target, dict):
        for name in [name for name in target if name not in known]:
            del target[name]
            dropped.append(f"{path}.{name}")
