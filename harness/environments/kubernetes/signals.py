"""What alert rules compare on a live cluster: scraped counters in a window, and the state of objects now.

Owns: the signals of `alert_rules.yaml` as Prometheus and kube-state-metrics would compute them. Does not own: when an
alert fires (`alerting.py`). Slowness of the API server and of etcd is not measured: those two signals never occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.cluster import Manifest
from harness.environments.kubernetes.history import History, Sample
from harness.environments.rules import Labels, Rule

CALLS = "traces_span_metrics_calls_total"
BUCKETS = "traces_span_metrics_duration_milliseconds_bucket"
MEMBERS, LAG = "kafka_consumer_group_members", "kafka_consumer_group_lag"
CLOSURES = "kafka_connection_closures_total"
ERROR = "STATUS_CODE_ERROR"
DATABASE = "postgresql/"
WINDOWED = frozenset({"latency_p95", "error_spans", "ok_spans", "database_spans", "connection_closures"})
"""Signals that are computed over the rule's window; the others are of one instant."""


def values(rule: Rule, history: History, now: float, window: float) -> Iterator[tuple[Labels, float]]:
    """(affected thing, value) of each series of a rule's signal."""
    sample = history.at(now)
    if sample is None:
        return
    if rule.signal in OBJECTS:
        yield from ((labels, 1.0) for labels in OBJECTS[rule.signal](sample))
        return
    for service, value in _of_services(rule.signal, history, sample, now - window):
        if rule.concerns(service):
            yield (("service_name", service),), value


def _of_services(signal: str, history: History, sample: Sample, start: float) -> Iterator[tuple[str, float]]:
    now = sample.time
    span = max(now - start, 1e-9)
    if signal == "latency_p95":
        found: dict[str, float] = percentiles(history, start, now, 0.95)
    elif signal in ("error_spans", "ok_spans", "database_spans"):
        found = {}
        for key, grown in history.increases(CALLS, start, now):
            label = key.label
            wanted = (
                label["span_name"].startswith(DATABASE)
                if signal == "database_spans"
                else (label["status_code"] == ERROR) == (signal == "error_spans")
            )
            found[label["service_name"]] = found.get(label["service_name"], 0.0) + wanted * grown / span
    elif signal == "connection_closures":
        found = {key.label["service_name"]: n / span for key, n in history.increases(CLOSURES, start, now)}
    else:
        metric = {"consumer_members": MEMBERS, "consumer_lag": LAG}.get(signal)
        gauges = ((key, value) for key, value in sample.totals.items() if key.metric == metric)
        found = {key.label["group"]: value for key, value in gauges}
    for service, value in found.items():
        if service in sample.workloads:
            yield service, value


def percentiles(history: History, start: float, end: float, share: float) -> dict[str, float]:
    """Service -> latency in ms below which a share of its requests lies: histogram_quantile, interpolated."""
    counts: dict[str, dict[float, float]] = {}
    for key, grown in history.increases(BUCKETS, start, end):
        edges = counts.setdefault(key.label["service_name"], {})
        edge = float(key.label["le"])
        edges[edge] = edges.get(edge, 0.0) + grown
    return {
        service: found for service, edges in counts.items() if (found := _quantile(edges, share)) is not None
    }


def _quantile(edges: Mapping[float, float], share: float) -> float | None:
    ordered = sorted(edges.items())
    total = ordered[-1][1] if ordered else 0.0
    if total <= 0:
        return None
    low, below = 0.0, 0.0
    for edge, count in ordered:
        if count >= share * total:
            if edge == float("inf"):
                return low
            return low + (edge - low) * (share * total - below) / max(count - below, 1e-9)
        low, below = edge, count
    return low


# --- objects ----------------------------------------------------------------------------------------


def _pod(pod: Manifest) -> Labels:
    return (("namespace", pod["metadata"]["namespace"]), ("pod", pod["metadata"]["name"]))


def _waiting(pod: Manifest) -> Iterator[tuple[str, str]]:
    """(container, reason) of each container that waits."""
    status = pod.get("status", {})
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if "waiting" in one.get("state", {}):
            yield one["name"], one["state"]["waiting"].get("reason", "")


def failed_pods(sample: Sample) -> Iterator[Labels]:
    """Namespaces with a failed pod."""
    failed = (pod for pod in sample.pods if pod.get("status", {}).get("phase") == "Failed")
    yield from {(("namespace", pod["metadata"]["namespace"]),) for pod in failed}


def pod_not_ready(sample: Sample) -> Iterator[Labels]:
    """Pods that are neither running nor done."""
    for pod in sample.pods:
        if pod.get("status", {}).get("phase") in ("Pending", "Unknown", "Failed"):
            yield _pod(pod)


def crash_loop(sample: Sample) -> Iterator[Labels]:
    """Containers that wait for their next start."""
    for pod in sample.pods:
        for container, reason in _waiting(pod):
            if reason == "CrashLoopBackOff":
                yield (*_pod(pod), ("container", container))


def container_waiting(sample: Sample) -> Iterator[Labels]:
    """Containers that wait for something else."""
    for pod in sample.pods:
        for container, reason in _waiting(pod):
            if reason != "CrashLoopBackOff":
                yield (*_pod(pod), ("container", container))


def rollout_stuck(sample: Sample) -> Iterator[Labels]:
    """Deployments whose roll-out passed its deadline."""
    for deployment in sample.deployments:
        for condition in deployment.get("status", {}).get("conditions") or ():
            if condition["type"] == "Progressing" and condition["status"] == "False":
                metadata = deployment["metadata"]
                yield (("namespace", metadata["namespace"]), ("deployment", metadata["name"]))


def hpa_maxed_out(sample: Sample) -> Iterator[Labels]:
    """Autoscalers at their maximum."""
    for one in sample.autoscalers:
        metadata, spec = one["metadata"], one["spec"]
        if (
            spec.get("minReplicas", 1)
            < one.get("status", {}).get("currentReplicas", 0)
            == spec["maxReplicas"]
        ):
            yield (("namespace", metadata["namespace"]), ("horizontalpodautoscaler", metadata["name"]))


OBJECTS: dict[str, Callable[[Sample], Iterator[Any]]] = {
    found.__name__: found
    for found in (failed_pods, pod_not_ready, crash_loop, container_waiting, rollout_stuck, hpa_maxed_out)
}
"""Signals read from objects: the things for which they hold."""
