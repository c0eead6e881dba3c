"""Metric series of services and pods, made up on reading from the recorded steady states, with seeded jitter.

Owns: metric names, their points. Does not own: what is true (`recorder.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.environments.simulated.noise import blips, jitter
from harness.environments.simulated.pod_facts import PodTrace
from harness.environments.simulated.recorder import Recorder, Segment
from harness.telemetry import Series

STEP_S = 30.0
MI = 2**20
SERVICE_METRICS = (
    "request_rate",
    "error_rate",
    "error_span_rate",
    "request_latency_p50_ms",
    "request_latency_p95_ms",
)
CONSUMER_METRICS = ("kafka_consumer_group_lag", "kafka_consumer_group_members")
POD_METRICS = (
    "container_cpu_usage_millicores",
    "container_memory_working_set_bytes",
    "kube_pod_container_status_restarts_total",
    "kube_pod_status_ready",
)


def names_of(recorder: Recorder, target: str) -> tuple[str, ...]:
    """Metrics known for a workload or a pod, now or earlier."""
    application = recorder.application
    if target in application.workloads:
        workload = application.workloads[target]
        known: tuple[str, ...] = SERVICE_METRICS if workload.traced and workload.operations else ()
        return known + CONSUMER_METRICS if target in recorder.lags else known
    return POD_METRICS if _workload_of_pod(recorder, target) else ()


def series_of(
    recorder: Recorder, seed: int, target: str, names: Sequence[str], start: float, end: float
) -> list[Series]:
    """Series at full half minutes of the window; a point is absent where nothing was recorded."""
    workload = target if target in recorder.application.workloads else _workload_of_pod(recorder, target)
    labels = {"namespace": recorder.application.namespace}
    labels["service_name" if workload == target else "pod"] = target
    found = []
    for name in names_of(recorder, target):
        if names and name not in names:
            continue
        points = [
            (time, _rounded(value))
            for time, segment in _samples(recorder, start, end)
            if (value := _value(recorder, seed, workload, target, name, time, segment)) is not None
        ]
        found.append(Series(name, labels, points))
    return found


def _samples(recorder: Recorder, start: float, end: float) -> Iterator[tuple[float, Segment]]:
    for begin, until, segment in recorder.between(start, end + 0.001):
        first = -(-begin // STEP_S) * STEP_S
        for index in range(max(0, int((until - first - 1e-9) // STEP_S) + 1)):
            yield first + index * STEP_S, segment


def _value(
    recorder: Recorder, seed: int, workload: str, target: str, name: str, time: float, segment: Segment
) -> float | None:
    if name == CONSUMER_METRICS[0]:
        return recorder.lag_at(workload, time)
    if name == CONSUMER_METRICS[1]:
        consumer = segment.flow.consumers.get(workload)
        return float(consumer.members) if consumer else None
    if name in SERVICE_METRICS:
        return _service_value(seed, workload, name, time, segment) if segment.collecting else None
    pod = next((trace for trace in segment.pods.get(workload, ()) if trace.name == target), None)
    return None if pod is None else _pod_value(recorder, seed, workload, pod, name, time, segment)


def _service_value(seed: int, workload: str, name: str, time: float, segment: Segment) -> float:
    service = segment.flow.services[workload]
    noise = jitter(seed, f"{workload}/{name}", time)
    if name == "request_rate":
        return service.requests * jitter(seed, workload, time)
    if name in ("error_rate", "error_span_rate"):
        value = service.errors if name == "error_rate" else service.error_spans
        blip = any(
            span.begin <= time < span.end + STEP_S for span in blips(seed, workload, time - STEP_S, time)
        )
        return value * jitter(seed, workload, time) + (0.05 * service.requests if blip else 0.0)
    return service.percentile(0.5 if "p50" in name else 0.95) * noise


def _pod_value(
    recorder: Recorder, seed: int, workload: str, pod: PodTrace, name: str, time: float, segment: Segment
) -> float | None:
    spec = recorder.application.workloads[workload]
    if segment.api_slow and name.startswith("kube_"):
        return None
    if name.endswith("restarts_total"):
        return float(pod.restarts)
    if name.endswith("status_ready"):
        return float(pod.ready)
    if not pod.ready:
        return 0.0
    noise = jitter(seed, f"{pod.name}/{name}", time)
    variants = dict(segment.flow.signature.pods).get(workload, ())
    if name.startswith("container_cpu"):
        ready = max(1, sum(count for _, count in variants))
        asked = spec.cpu_m + segment.flow.services[workload].cpu_m / ready
        bound = min((variant.cpu_limit_m for variant, _ in variants if variant.cpu_limit_m), default=0.0)
        return min(asked * noise, bound) if bound else asked * noise
    flags = dict(variants[0][0].flags) if variants else {}
    growth = sum(effect.memory_mi_per_min * flags.get(effect.flag, 0.0) for effect in spec.flags)
    started = next((s.time for s in reversed(recorder.starts) if s.pod == pod.name and s.time <= time), time)
    return (spec.working_set_mi * noise + growth * (time - started) / 60) * MI


def _workload_of_pod(recorder: Recorder, pod: str) -> str:
    for segment in reversed(recorder.segments):
        for workload, traces in segment.pods.items():
            if any(trace.name == pod for trace in traces):
                return workload
    return ""


def _rounded(value: float) -> float:
    return round(value, 3) if value < 1000 else round(value)
