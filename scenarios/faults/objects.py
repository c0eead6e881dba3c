"""Pure questions about Kubernetes objects that faults and the verdict share.

Owns: what an object asks for (without what the server and controllers write into it), the pods of a workload,
quantities. Reads manifests and lists; changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from harness.cluster import RESTARTED_AT, REVISION, Cluster, Manifest

GENERATED_ANNOTATIONS = frozenset(
    {
        REVISION,
        RESTARTED_AT,
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubernetes.io/change-cause",
        "deprecated.daemonset.template.generation",
        "endpoints.kubernetes.io/last-change-trigger-time",
    }
)
OOM_MEMORY_S = 300.0
"""An out-of-memory kill this recent says that the memory is still not enough."""
STEADY_S = 60.0
"""A container must have run this long before its memory is held to be enough."""
KEPT_METADATA = ("name", "namespace", "labels", "annotations")

_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
}


def wanted(manifest: Manifest) -> Manifest:
    """What the object asks for: without status, server-written metadata, and marks of roll-outs and restarts.

    A shallow copy: parts are shared with the manifest."""
    asked = {key: value for key, value in manifest.items() if key != "status"}
    asked["metadata"] = _metadata(manifest["metadata"], KEPT_METADATA)
    spec = manifest.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("template"), dict):
        template = dict(spec["template"])
        if "metadata" in template:
            template["metadata"] = _metadata(template["metadata"] or {}, ("labels", "annotations"))
        asked["spec"] = {**spec, "template": template}
    return asked


def _metadata(metadata: Manifest, kept: tuple[str, ...]) -> Manifest:
    result = {key: metadata[key] for key in kept if metadata.get(key)}
    annotations = {
        key: value for key, value in result.pop("annotations", {}).items() if key not in GENERATED_ANNOTATIONS
    }
    return {**result, "annotations": annotations} if annotations else result


def pods_of(cluster: Cluster, workload: Manifest) -> list[Manifest]:
    """Pods that the workload's selector matches and that are not being deleted."""
    labels = workload["spec"]["selector"].get("matchLabels", {})
    pods = cluster.list("Pod", workload["metadata"].get("namespace", ""), labels)
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def is_ready(pod: Manifest) -> bool:
    """Whether the pod's Ready condition holds."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def restarts(pod: Manifest) -> int:
    """How often containers of the pod were restarted."""
    return sum(status.get("restartCount", 0) for status in pod.get("status", {}).get("containerStatuses", []))


def has_ready_endpoints(cluster: Cluster, service: str, namespace: str) -> bool:
    """Whether at least one ready address stands behind a Service."""
    for endpoints in cluster.list("Endpoints", namespace):
        if endpoints["metadata"]["name"] == service:
            return any(subset.get("addresses") for subset in endpoints.get("subsets") or [])
    return False


def seconds(timestamp: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    parsed = datetime.fromisoformat(timestamp)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def started_since(pod: Manifest, source: Manifest) -> bool:
    """Whether the pod started after a ConfigMap or Secret was last written.

    API servers record the time of each write in `managedFields`. One that does not still counts writes: a steady
    pod is written for the last time when it gets ready, so that its resource version tells the order."""
    changed, started = _last_write(source), pod.get("status", {}).get("startTime")
    if started is None:
        return False
    if changed is None:
        version, reference = (int(one["metadata"]["resourceVersion"]) for one in (pod, source))
        return version > reference
    return seconds(started) >= changed


def _last_write(manifest: Manifest) -> float | None:
    """Seconds since the epoch, by the API server's own record; None when it keeps none."""
    entries = manifest["metadata"].get("managedFields", [])
    return max((seconds(entry["time"]) for entry in entries if "time" in entry), default=None)


def is_steady(pod: Manifest, container: str, now: float) -> bool:
    """The container has run for a while, and its last end, if any, was no recent out-of-memory kill."""
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status["name"] == container:
            running = status.get("state", {}).get("running")
            ended = status.get("lastState", {}).get("terminated") or {}
            killed = ended.get("reason") == "OOMKilled" and seconds(ended["finishedAt"]) > now - OOM_MEMORY_S
            return bool(running) and seconds(running["startedAt"]) <= now - STEADY_S and not killed
    return False


def quantity(text: str | int | float) -> Decimal:
    """The value of a Kubernetes quantity such as `5m`, `160Mi` or `2`. Raises ValueError."""
    written = str(text).strip()
    digits = written.rstrip("mkKMGTPi")
    suffix = written[len(digits) :]
    if suffix not in _SUFFIXES or not digits:
        raise ValueError(f"{text!r} is not a quantity; expected a number with m, k, Ki, M, Mi, ...")
    return Decimal(digits) * _SUFFIXES[suffix]
