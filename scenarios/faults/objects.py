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


def quantity(text: str | int | float) -> Decimal:
    """The value of a Kubernetes quantity such as `5m`, `160Mi` or `2`. Raises ValueError."""
    written = str(text).strip()
    digits = written.rstrip("mkKMGTPi")
    suffix = written[len(digits) :]
    if suffix not in _SUFFIXES or not digits:
        raise ValueError(f"{text!r} is not a quantity; expected a number with m, k, Ki, M, Mi, ...")
    return Decimal(digits) * _SUFFIXES[suffix]
