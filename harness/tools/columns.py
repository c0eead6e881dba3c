"""The columns that kubectl prints for each kind.

Owns: rows of `kubectl_get`. Does not own: which objects are shown.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.cluster import Manifest, revision_of
from harness.tools.base import Json, parse_time
from harness.tools.objects import age, duration, pod_status

Columns = Callable[[Manifest, float], Json]


def row_of(manifest: Manifest, now: float) -> Json:
    """One object as a row: its name, the columns of its kind, its age."""
    columns = COLUMNS.get(manifest.get("kind", ""))
    details = columns(manifest, now) if columns else {}
    row = {"name": manifest["metadata"]["name"], **details}
    return row if manifest.get("kind") == "Event" else {**row, "age": age(manifest, now)}


def _pod(pod: Manifest, now: float) -> Json:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    ready = sum(bool(status.get("ready")) for status in statuses)
    return {
        "ready": f"{ready}/{len(pod['spec'].get('containers', []))}",
        "status": pod_status(pod),
        "restarts": sum(status.get("restartCount", 0) for status in statuses),
        "node": pod["spec"].get("nodeName", ""),
    }


def _deployment(deployment: Manifest, now: float) -> Json:
    status = deployment.get("status", {})
    containers = deployment["spec"].get("template", {}).get("spec", {}).get("containers", [])
    return {
        "ready": f"{status.get('readyReplicas', 0)}/{deployment['spec'].get('replicas', 1)}",
        "up_to_date": status.get("updatedReplicas", 0),
        "available": status.get("availableReplicas", 0),
        "images": [container.get("image", "") for container in containers],
    }


def _replica_set(replica_set: Manifest, now: float) -> Json:
    status = replica_set.get("status", {})
    return {
        "desired": replica_set["spec"].get("replicas", 0),
        "current": status.get("replicas", 0),
        "ready": status.get("readyReplicas", 0),
        "revision": revision_of(replica_set),
    }


def _daemon_set(daemon_set: Manifest, now: float) -> Json:
    status = daemon_set.get("status", {})
    return {
        "desired": status.get("desiredNumberScheduled", 0),
        "current": status.get("currentNumberScheduled", 0),
        "ready": status.get("numberReady", 0),
    }


def _service(service: Manifest, now: float) -> Json:
    spec = service.get("spec", {})
    return {
        "type": spec.get("type", "ClusterIP"),
        "cluster_ip": spec.get("clusterIP", ""),
        "ports": [
            f"{port['port']}->{port.get('targetPort', port['port'])}/{port.get('protocol', 'TCP')}"
            for port in spec.get("ports", [])
        ],
        "selector": spec.get("selector") or {},
    }


def _endpoints(endpoints: Manifest, now: float) -> Json:
    return {
        "endpoints": [
            f"{address['ip']}:{port['port']}"
            for subset in endpoints.get("subsets") or []
            for address in subset.get("addresses") or []
            for port in subset.get("ports") or [{"port": ""}]
        ]
    }


def _config_map(config_map: Manifest, now: float) -> Json:
    return {"data": sorted(config_map.get("data") or {})}


def _secret(secret: Manifest, now: float) -> Json:
    return {"type": secret.get("type", "Opaque"), "data": sorted(secret.get("data") or {})}


def _node(node: Manifest, now: float) -> Json:
    conditions = node.get("status", {}).get("conditions", [])
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    unschedulable = node.get("spec", {}).get("unschedulable")
    status = ("Ready" if ready else "NotReady") + (",SchedulingDisabled" if unschedulable else "")
    return {"status": status, "version": node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")}


def _phase(manifest: Manifest, now: float) -> Json:
    return {"status": manifest.get("status", {}).get("phase", "")}


def _resource_quota(quota: Manifest, now: float) -> Json:
    return {
        "hard": quota.get("spec", {}).get("hard") or {},
        "used": quota.get("status", {}).get("used") or {},
    }


def _network_policy(policy: Manifest, now: float) -> Json:
    return {"pod_selector": policy.get("spec", {}).get("podSelector") or {}}


def _autoscaler(autoscaler: Manifest, now: float) -> Json:
    spec, status = autoscaler.get("spec", {}), autoscaler.get("status", {})
    target = spec.get("scaleTargetRef", {})
    return {
        "reference": f"{target.get('kind', '')}/{target.get('name', '')}",
        "min": spec.get("minReplicas", 1),
        "max": spec.get("maxReplicas", 0),
        "replicas": status.get("currentReplicas", 0),
    }


def _schedule(schedule: Manifest, now: float) -> Json:
    spec, status = schedule.get("spec", {}), schedule.get("status", {})
    return {
        "type": spec.get("type", ""),
        "schedule": spec.get("schedule", ""),
        "active": [child.get("name", "") for child in status.get("active") or []],
        "last_time": status.get("time", ""),
        "annotations": schedule["metadata"].get("annotations") or {},
    }


def _experiment(experiment: Manifest, now: float) -> Json:
    conditions = experiment.get("status", {}).get("conditions", [])
    return {
        "action": experiment.get("spec", {}).get("action", ""),
        "duration": experiment.get("spec", {}).get("duration", ""),
        "conditions": [each["type"] for each in conditions if each.get("status") == "True"],
    }


def _gateway(gateway: Manifest, now: float) -> Json:
    return {"class": gateway.get("spec", {}).get("gatewayClassName", "")}


def _authorization_policy(policy: Manifest, now: float) -> Json:
    return {"action": policy.get("spec", {}).get("action", "ALLOW")}


def _peer_authentication(policy: Manifest, now: float) -> Json:
    return {"mode": policy.get("spec", {}).get("mtls", {}).get("mode", "")}


def _event(event: Manifest, now: float) -> Json:
    target = event.get("involvedObject", {})
    last = parse_time(event.get("lastTimestamp") or event["metadata"].get("creationTimestamp"))
    return {
        "last_seen": duration(now - last) if last is not None else "<unknown>",
        "type": event.get("type", "Normal"),
        "reason": event.get("reason", ""),
        "object": f"{target.get('kind', '')}/{target.get('name', '')}",
        "message": event.get("message", ""),
        "count": event.get("count", 1),
    }


COLUMNS: dict[str, Columns] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "StatefulSet": _deployment,
    "ReplicaSet": _replica_set,
    "DaemonSet": _daemon_set,
    "Service": _service,
    "Endpoints": _endpoints,
    "ConfigMap": _config_map,
    "Secret": _secret,
    "Node": _node,
    "Namespace": _phase,
    "PersistentVolumeClaim": _phase,
    "ResourceQuota": _resource_quota,
    "NetworkPolicy": _network_policy,
    "HorizontalPodAutoscaler": _autoscaler,
    "Event": _event,
    "Schedule": _schedule,
    **dict.fromkeys(
        ("HTTPChaos", "IOChaos", "JVMChaos", "NetworkChaos", "PodChaos", "StressChaos"), _experiment
    ),
    "Gateway": _gateway,
    "AuthorizationPolicy": _authorization_policy,
    "PeerAuthentication": _peer_authentication,
}
