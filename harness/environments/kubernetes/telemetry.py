"""Telemetry of a live trial, answered from what its monitor scraped and from the containers' logs.

Owns: metrics and call paths from scrapes. Does not own: scraping (`monitor.py`), alerts (`alerting.py`), what is
the same for every live application (`observed.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.cluster import Cluster
from harness.environments.kubernetes.history import Sample
from harness.environments.kubernetes.logs import ContainerLogs
from harness.environments.kubernetes.monitor import Monitor
from harness.environments.kubernetes.observed import ObservedTelemetry
from harness.environments.kubernetes.signals import CALLS, ERROR, LAG, MEMBERS, percentiles
from harness.telemetry import Alert, CallPath, Series
from scenarios.applications.schema import Application
from scenarios.faults.objects import is_ready, restarts

PATHS, LAST_ERROR = "shop_paths_total", "shop_path_last_error"
SERVICE_METRICS = ("request_rate", "error_rate", "request_latency_p50_ms", "request_latency_p95_ms")
CONSUMER_METRICS = {"kafka_consumer_group_lag": LAG, "kafka_consumer_group_members": MEMBERS}
POD_METRICS = {
    "kube_pod_container_status_restarts_total": lambda pod: float(restarts(pod)),
    "kube_pod_status_ready": lambda pod: float(is_ready(pod)),
}
SERVED = ("SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER", "SPAN_KIND_INTERNAL")


class LiveTelemetry(ObservedTelemetry):
    """What monitoring saw of one trial."""

    def __init__(self, monitor: Monitor, cluster: Cluster, application: Application, pace: float) -> None:
        """`cluster`: whose identity reads logs."""
        super().__init__(monitor, cluster, application, ContainerLogs(cluster, application))
        self._history = monitor.history
        self._pace = pace

    def alerts(self) -> Sequence[Alert]:
        """Alerts that are pending or firing at the last scrape."""
        with self._monitor.lock:
            return self._monitor.alerting.current

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> Sequence[tuple[float, Alert]]:
        """(sample time, alert), the first of each minute (at the trial's pace) in which an alert was firing."""
        with self._monitor.lock:
            fired = list(self._monitor.alerting.fired)
        low, high = self._window(start, end)
        seen: set[tuple[int, tuple[str, str]]] = set()
        found = []
        for time, alert in fired:
            minute = (int(time // (60 * self._pace)), alert.key)
            if low <= time <= high and minute not in seen:
                seen.add(minute)
                found.append((time, alert))
        return found

    def metric_names(self, target: str) -> Sequence[str]:
        """Names of the metrics known for a service or pod."""
        workload = self._application.workloads.get(target)
        if workload is None:
            return tuple(POD_METRICS) if any(self._pods_named(target)) else ()
        names = SERVICE_METRICS if workload.traced else ()
        consumes = any(operation.consumes for operation in workload.operations.values())
        return (*names, *(CONSUMER_METRICS if consumes else ()))

    def metrics(
        self, target: str, names: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Sequence[Series]:
        """Series of a service or pod; all its metrics when `names` is empty."""
        low, high = self._window(start, end)
        with self._monitor.lock:
            samples = list(self._history.between(low, high))
        known = self.metric_names(target)
        label = "service_name" if target in self._application.workloads else "pod"
        labels = {"namespace": self._application.namespace, label: target}
        return [
            Series(name, labels, list(self._points(target, name, samples)))
            for name in known
            if not names or name in names
        ]

    def call_paths(self, start: float | None = None, end: float | None = None) -> Sequence[CallPath]:
        """Requests of the window by the path of services that they took, counted at the callers."""
        low, high = self._window(start, end)
        with self._monitor.lock:
            grown = list(self._history.increases(PATHS, low, high))
            latency = percentiles(self._history, low, high, 0.95)
            last = self._history.at(high)
        messages: dict[tuple[str, str], tuple[float, str]] = {}
        for key, time in last.totals.items() if last is not None else ():
            if key.metric == LAST_ERROR and time >= low:
                place = (key.label["path"], key.label["operation"])
                messages[place] = max(messages.get(place, (0.0, "")), (time, key.label["message"]))
        counts: dict[tuple[str, str], list[float]] = {}
        for key, count in grown:
            row = counts.setdefault((key.label["path"], key.label["operation"]), [0.0, 0.0])
            row[0] += count
            row[1] += count if key.label["status"] == "error" else 0.0
        found = []
        for place, (count, errors) in counts.items():
            if count > 0:
                path = tuple(place[0].split("/"))
                message = messages.get(place, (0.0, ""))[1] if errors else ""
                found.append(
                    CallPath(path, place[1], count, errors, round(latency.get(path[-1], 0.0), 1), message)
                )
        return sorted(found, key=lambda one: (len(one.path), one.path, one.operation))

    # --- inside

    def _pods_named(self, name: str) -> Iterator[Any]:
        for sample in reversed(self._history.samples):
            yield from (pod for pod in sample.pods if pod["metadata"]["name"] == name)

    def _points(self, target: str, name: str, samples: Sequence[Sample]) -> Iterator[tuple[float, float]]:
        previous = 0.0
        for sample in samples:
            value = self._value(target, name, sample, previous)
            previous = sample.time
            if value is not None:
                yield sample.time, round(value, 3)

    def _value(self, target: str, name: str, sample: Sample, previous: float) -> float | None:
        if name in POD_METRICS:
            pod = next((one for one in sample.pods if one["metadata"]["name"] == target), None)
            return None if pod is None else POD_METRICS[name](pod)
        if name in CONSUMER_METRICS:
            found = (
                value
                for key, value in sample.totals.items()
                if key.metric == CONSUMER_METRICS[name] and key.label["group"] == target
            )
            return next(found, None)
        if not previous:
            return None
        if "latency" in name:
            share = 0.5 if "p50" in name else 0.95
            return percentiles(self._history, previous, sample.time, share).get(target)
        total = 0.0
        for key, grown in self._history.increases(CALLS, previous, sample.time):
            label = key.label
            if label["service_name"] == target and label["span_kind"] in SERVED:
                total += grown if name == "request_rate" or label["status_code"] == ERROR else 0.0
        return total / (sample.time - previous)
