"""Telemetry of an existing application: its Prometheus server for alerts and metrics, other sources for the rest.

Owns: the queries and what becomes of their answers. Does not own: what Prometheus scrapes and which rules it has,
where log records and call paths come from (`sources`).
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.request import Request

from harness.cluster import Cluster
from harness.environments.kubernetes.monitor import Monitor
from harness.environments.kubernetes.observed import LogSource, ObservedTelemetry, PathSource
from harness.environments.kubernetes.sources import web
from harness.errors import Unanswered
from harness.telemetry import Alert, CallPath, Series
from scenarios.applications.schema import Application

NAMES = re.compile(r"[A-Za-z0-9._-]+")
"""What a service or pod can be called; nothing else gets into a query."""
STEPS = 120
"""Points of a range query at most."""
KINDS: web.Kinds = {re.compile(r'"errorType": ?"(timeout|execution)"'): Unanswered}
"""What a server says of a query that takes too long or needs too many samples."""
CALLS = "traces_span_metrics_calls_total"
DURATION = "traces_span_metrics_duration_milliseconds_bucket"
SERVICE_QUERIES = {
    "request_rate": f'sum(rate({CALLS}{{service_name="NAME"}}[WINDOW]))',
    "error_rate": f'sum(rate({CALLS}{{service_name="NAME",status_code="STATUS_CODE_ERROR"}}[WINDOW]))',
    "request_latency_p95_ms": (
        f'histogram_quantile(0.95, sum by (le) (rate({DURATION}{{service_name="NAME"}}[WINDOW])))'
    ),
}
POD_QUERIES = {
    "container_cpu_usage_millicores": 'sum(rate(container_cpu_usage_seconds_total{pod="NAME"}[WINDOW])) * 1000',
    "container_memory_working_set_bytes": 'sum(container_memory_working_set_bytes{pod="NAME"})',
    "kube_pod_container_status_restarts_total": 'sum(kube_pod_container_status_restarts_total{pod="NAME"})',
}


class Prometheus:
    """The HTTP API of a Prometheus server."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def get(self, path: str, wanted: str, **parameters: Any) -> list[dict[str, Any]]:
        """What stands under `wanted` in an answer. Raises InfrastructureError."""
        who = f"Prometheus at {self._url}"
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            return list(json.loads(web.fetch(who, Request(url), kinds=KINDS))["data"][wanted])
        except (ValueError, KeyError, TypeError) as error:
            web.refuse(who, f"not the expected answer: {error}")

    def range(self, query: str, start: float, end: float) -> list[dict[str, Any]]:
        """The series of a range query."""
        step = max(1.0, (end - start) / STEPS)
        return self.get("query_range", "result", query=query, start=start, end=end, step=step)

    def instant(self, query: str, time: float) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        return self.get("query", "result", query=query, time=time)


class SpanMetrics:
    """Call paths as far as span metrics tell: one service each, with its error rate."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus

    def call_paths(self, low: float, high: float) -> Sequence[CallPath]:
        """One path per service and operation."""
        window = f"{max(1, round(high - low))}s"
        kinds = "SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"
        query = f'sum by (service_name, span_name, status_code) (increase({CALLS}{{span_kind=~"{kinds}"}}[{window}]))'
        counts: dict[tuple[str, str], list[float]] = {}
        for sample in self._prometheus.instant(query, high):
            labels, count = sample["metric"], float(sample["value"][1])
            row = counts.setdefault((labels["service_name"], labels["span_name"]), [0.0, 0.0])
            row[0] += count
            row[1] += count if labels.get("status_code") == "STATUS_CODE_ERROR" else 0.0
        return [
            CallPath((service,), operation, round(count, 1), round(errors, 1), 0.0)
            for (service, operation), (count, errors) in sorted(counts.items())
            if count > 0
        ]


class PrometheusTelemetry(ObservedTelemetry):
    """What a cluster's own monitoring saw, and the versions of objects that the harness recorded."""

    def __init__(
        self,
        prometheus: Prometheus,
        monitor: Monitor,
        cluster: Cluster,
        application: Application,
        window_s: float,
        logs: LogSource,
        paths: PathSource,
        began: float,
    ) -> None:
        """`window_s`: range of rates. `began`: the earliest time that is asked for."""
        super().__init__(monitor, cluster, application, logs, began)
        self._prometheus = prometheus
        self._range = f"{max(1, round(window_s))}s"
        self._paths = paths

    def alerts(self) -> Sequence[Alert]:
        """Alerts that are pending or firing now and concern the application's namespace or no namespace."""
        found = []
        for one in self._prometheus.get("alerts", "alerts"):
            labels = one["labels"]
            if labels.get("namespace", self._application.namespace) == self._application.namespace:
                text = one.get("annotations", {}).get("description", "")
                since = datetime.fromisoformat(
                    one["activeAt"].replace("Z", "+00:00")[:26].rstrip("+") + "+00:00"
                )
                value = float(one["value"])
                found.append(Alert(labels["alertname"], labels, one["state"], since.timestamp(), value, text))
        return found

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> Sequence[tuple[float, Alert]]:
        """(sample time, alert) of each step of the window at which an alert was firing."""
        low, high = self._window(start, end)
        found = []
        for series in self._prometheus.range('ALERTS{alertstate="firing"}', low, high):
            labels = {k: v for k, v in series["metric"].items() if k not in ("__name__", "alertstate")}
            if labels.get("namespace", self._application.namespace) == self._application.namespace:
                alert = Alert(labels["alertname"], labels, "firing", float(series["values"][0][0]))
                found += [(float(time), alert) for time, _ in series["values"]]
        return sorted(found, key=lambda sample: (sample[0], sample[1].key))

    def metric_names(self, target: str) -> Sequence[str]:
        """Names of the metrics known for a service or pod."""
        return tuple(SERVICE_QUERIES if target in self._application.workloads else POD_QUERIES)

    def metrics(
        self, target: str, names: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Sequence[Series]:
        """Series of a service or pod; all its metrics when `names` is empty."""
        if not NAMES.fullmatch(target):
            return []
        low, high = self._window(start, end)
        service = target in self._application.workloads
        queries = SERVICE_QUERIES if service else POD_QUERIES
        labels = {"namespace": self._application.namespace, "service_name" if service else "pod": target}
        found = []
        for name in queries:
            if not names or name in names:
                query = queries[name].replace("NAME", target).replace("WINDOW", self._range)
                points = [
                    (float(time), float(value))
                    for series in self._prometheus.range(query, low, high)
                    for time, value in series["values"]
                ]
                found.append(Series(name, labels, points))
        return found

    def call_paths(self, start: float | None = None, end: float | None = None) -> Sequence[CallPath]:
        """Calls of the window by path; how much of a path there is depends on the source."""
        low, high = self._window(start, end)
        return self._paths.call_paths(low, high) if low < high else ()
