"""The tool that reads the service graph and what a service is made of: `topology_analysis`.

Owns: walks over the graph, the hierarchy of an entity. Does not own: how the graph is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from harness.cluster import Manifest
from harness.errors import ToolError
from harness.tools.base import Args, Json, ToolContext, tool
from harness.tools.objects import WORKLOADS, entity_id, find, has_labels, near_names, parse_id


class TopologyArgs(Args):
    entity: str = Field(default="", description="service or object id; empty: the whole graph")
    hops: int = Field(default=2, ge=1, le=10)
    direction: Literal["both", "upstream", "downstream"] = Field(
        default="both", description="upstream: callers"
    )


@tool("Which service calls which, and the Kubernetes objects of one.", TopologyArgs, seconds=1.0)
def topology_analysis(context: ToolContext, args: TopologyArgs) -> Json:
    """Callers, callees and objects of a service."""
    topology = context.telemetry.topology()
    if not args.entity:
        calls = [{"source": s, "relation": "calls", "target": t} for s, t in topology.calls]
        return {"services": list(topology.services), "calls": calls}
    wanted = parse_id(args.entity)
    service = wanted.name if wanted.name in topology.services else wanted.service
    known = service in topology.services
    if not known and not find(context, wanted):
        raise ToolError(f"unknown entity {args.entity}{near_names(service, topology.services)}")
    result: Json = {"entity": service, "callers": [], "callees": []}
    if args.direction != "downstream":
        result["upstream"] = walk(topology.calls, service, args.hops, callers=True)
        result["callers"] = [row["service"] for row in result["upstream"] if row["hops"] == 1]
    if args.direction != "upstream":
        result["downstream"] = walk(topology.calls, service, args.hops, callers=False)
        result["callees"] = [row["service"] for row in result["downstream"] if row["hops"] == 1]
    result["hierarchy"] = hierarchy(context, service)
    return result


def walk(calls: Sequence[tuple[str, str]], service: str, hops: int, *, callers: bool) -> list[Json]:
    """Services within `hops` calls of one, nearest first."""
    distance, frontier = {service: 0}, [service]
    for step in range(1, hops + 1):
        reached = [(s if callers else t) for s, t in calls if (t if callers else s) in frontier]
        frontier = [name for name in dict.fromkeys(reached) if name not in distance]
        distance.update(dict.fromkeys(frontier, step))
    return [{"service": name, "hops": step} for name, step in distance.items() if step]


def hierarchy(context: ToolContext, service: str) -> list[Json]:
    """The objects that a service consists of and depends on, the workload first."""
    found: list[tuple[str, str]] = []
    for namespace in context.namespaces:
        for kind in WORKLOADS:
            for workload in context.cluster.list(kind, namespace):
                if workload["metadata"]["name"] == service:
                    found += _of_workload(context, workload, namespace)
        found += [
            ("Service", entity_id(each))
            for each in context.cluster.list("Service", namespace)
            if each["metadata"]["name"] == service
        ]
    return [{"kind": kind, "id": identity} for kind, identity in dict.fromkeys(found)]


def _of_workload(context: ToolContext, workload: Manifest, namespace: str) -> list[tuple[str, str]]:
    labels = workload["spec"].get("selector", {}).get("matchLabels", {})
    found = [(workload["kind"], entity_id(workload))]
    for kind in ("ReplicaSet", "Pod"):
        owned = context.cluster.list(kind, namespace, labels) if labels else []
        found += [(kind, entity_id(each)) for each in owned]
    template = workload["spec"].get("template", {}).get("spec", {})
    found += [(kind, f"{namespace}/{kind}/{name}") for kind, name in references(template)]
    pods = context.cluster.list("Pod", namespace, labels) if labels else []
    nodes = dict.fromkeys(pod["spec"].get("nodeName") for pod in pods if has_labels(pod, labels))
    return found + [("Node", f"cluster/Node/{node}") for node in nodes if node]


def references(pod_spec: Json) -> list[tuple[str, str]]:
    """ConfigMaps, Secrets and claims that a pod template mentions."""
    found: list[tuple[str, str]] = []
    for volume in pod_spec.get("volumes", []):
        if "configMap" in volume:
            found.append(("ConfigMap", volume["configMap"].get("name", "")))
        if "secret" in volume:
            found.append(("Secret", volume["secret"].get("secretName", "")))
        if "persistentVolumeClaim" in volume:
            found.append(("PersistentVolumeClaim", volume["persistentVolumeClaim"].get("claimName", "")))
    for container in (*pod_spec.get("initContainers", []), *pod_spec.get("containers", [])):
        sources = [entry.get("valueFrom", {}) for entry in container.get("env", [])]
        sources += container.get("envFrom", [])
        for source in sources:
            for key, kind in (("configMapKeyRef", "ConfigMap"), ("configMapRef", "ConfigMap")):
                if key in source:
                    found.append((kind, source[key].get("name", "")))
            for key in ("secretKeyRef", "secretRef"):
                if key in source:
                    found.append(("Secret", source[key].get("name", "")))
    return list(dict.fromkeys(found))
