"""The files of a recording, written as the recorders of ITBench write them.

Owns: columns, quoting, names, who is polled when. Does not own: what happened (simulation) or spans (`spans.py`).
Secrets and chaos objects are not recorded, as in the published data.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from harness.cluster import Manifest
from harness.environments.simulated.logs import recorded
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.simulated.world import World
from harness.environments.snapshot.recording.spans import EDGES_MS, Counters, spans_of
from harness.telemetry import Alert

POLL_S = 300.0
"""Objects are polled this often."""
ALL_LINES = 10**9
POLLED = {
    "Namespace": "namespaces", "Node": "nodes", "Deployment": "deployments", "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "Pod": "pods", "Service": "services", "Endpoints":
    "endpoints", "ConfigMap": "configmaps", "NetworkPolicy": "networkpolicies", "ResourceQuota": "resourcequotas",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers", "PersistentVolumeClaim": "persistentvolumeclaims",
    "PriorityClass": "priorityclasses", "Job": "jobs",
}  # fmt: skip
LOG_COLUMNS = (
    "Timestamp", "TimestampTime", "TraceId", "SpanId", "TraceFlags", "SeverityText", "SeverityNumber", "ServiceName",
    "Body", "ResourceSchemaUrl", "ResourceAttributes", "ScopeSchemaUrl", "ScopeName", "ScopeVersion",
    "ScopeAttributes", "LogAttributes",
)  # fmt: skip
TRACE_COLUMNS = (
    "Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName",
    "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage",
    "Events.Timestamp", "Events.Name", "Events.Attributes", "Links.TraceId", "Links.SpanId", "Links.TraceState",
    "Links.Attributes",
)  # fmt: skip
SERVICE_COLUMNS = (
    "metric_name", "timestamp", "value", "service_name", "namespace", "bucket_le", "tags", "metric_type",
    "status_code",
)  # fmt: skip
POD_COLUMNS = ("metric_name", "timestamp", "value", "pod_name", "namespace", "tags")
SEVERITIES = {"DEBUG": "5", "INFO": "9", "WARN": "13", "ERROR": "17", "FATAL": "21"}


class Recording:
    """Open files of one scenario directory. `catch_up` writes what happened since it was called last."""

    def __init__(self, directory: Path, world: World, monitoring: Monitoring, scale: float) -> None:
        self._directory = directory
        self._world = world
        self._monitoring = monitoring
        self._scale = scale
        self._files = ExitStack()
        self._tables: dict[Path, Any] = {}
        self._until: float | None = None
        self._polled = float("-inf")
        self._events: dict[str, int] = {}
        self._counters = Counters()
        (directory / "alerts").mkdir()
        (directory / "metrics").mkdir()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def catch_up(self) -> None:
        """Write everything after the last call up to now; the first call only polls."""
        now = self._world.now
        begin = now if self._until is None else self._until
        if now > begin:
            self._write_alerts(begin, now)
            self._write_logs(begin, now)
            self._write_traces(begin, now)
            self._write_metrics(begin, now)
        self._write_events()
        if now - self._polled >= POLL_S:
            self._write_objects(now)
            self._polled = now
        self._until = now

    # --- one kind of evidence each

    def _write_alerts(self, begin: float, end: float) -> None:
        samples: dict[float, list[Alert]] = {}
        for time, alert in self._monitoring.alert_history(begin + 1e-3, end):
            samples.setdefault(time, []).append(alert)
        for time, alerts in samples.items():
            name = f"alerts_at_{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H-%M-%S.%f}.json"
            listed = [_alert(alert) for alert in alerts]
            (self._directory / "alerts" / name).write_text(json.dumps(listed, indent=2), encoding="utf-8")

    def _write_logs(self, begin: float, end: float) -> None:
        table = self._table("otel_logs_raw.tsv", LOG_COLUMNS)
        recorder, seed = self._monitoring.recorder, self._monitoring.seed
        random = Random(f"{seed}/logs/{begin}")
        for record in recorded(recorder, seed, begin, end, limit=ALL_LINES):
            resource = self._resource(record.service, record.pod)
            for copy in range(_times(self._scale, random)):
                stamp = _stamp(record.time + (copy and random.uniform(-0.5, 0.5)))
                table.writerow(
                    (stamp, stamp[:19], "", "", "0", record.severity, SEVERITIES[record.severity], record.service,
                     record.body, "https://opentelemetry.io/schemas/1.24.0", resource, "", record.service, "", "{}",
                     "{}")
                )  # fmt: skip

    def _write_traces(self, begin: float, end: float) -> None:
        table = self._table("otel_traces_raw.tsv", TRACE_COLUMNS)
        recorder, seed = self._monitoring.recorder, self._monitoring.seed
        for span in spans_of(recorder, seed, begin, end, self._scale):
            self._counters.add(span)
            table.writerow(
                (_stamp(span.time, nanoseconds=True), span.trace, span.id, span.parent, "", span.operation, span.kind,
                 span.service, self._resource(span.service, span.pod), f"opentelemetry.{span.service}", "1.0.0",
                 _map(span.attributes), str(int(span.ms * 1e6)), "Error" if span.failed else "Unset", span.message,
                 "[]", "[]", "[]", "[]", "[]", "[]", "[]")
            )  # fmt: skip

    def _write_metrics(self, begin: float, end: float) -> None:
        application = self._monitoring.application
        pods = [pod["metadata"]["name"] for pod in self._world.cluster.list("Pod", application.namespace)]
        for target in (*application.workloads, *pods):
            for series in self._monitoring.metrics(target, (), begin + 1e-3, end):
                pod = series.labels.get("pod")
                for time, value in series.points:
                    row = (series.metric, _stamp(time), repr(value), target, application.namespace)
                    if pod:
                        self._table(f"metrics/pod_{pod}_raw.tsv", POD_COLUMNS).writerow((*row, "{}"))
                    else:
                        self._service(target).writerow((*row, "", "{}", "gauge", ""))
        self._write_counters(end, application.namespace)

    def _write_counters(self, time: float, namespace: str) -> None:
        """The span metrics that Prometheus derives from the recorded spans."""
        stamp = _stamp(time)
        for (service, status), count in self._counters.calls.items():
            row = ("traces_span_metrics_calls_total", stamp, str(count), service, namespace)
            self._service(service).writerow((*row, "", "{}", "counter", status))
        for service, counts in self._counters.durations.items():
            for edge, count in zip(EDGES_MS, counts, strict=True):
                row = (
                    "traces_span_metrics_duration_milliseconds_bucket",
                    stamp,
                    str(count),
                    service,
                    namespace,
                )
                self._service(service).writerow((*row, edge, "{}", "histogram", ""))

    def _write_events(self) -> None:
        table = self._table("k8s_events_raw.tsv", LOG_COLUMNS)
        for event in self._world.store.events:
            name, count = event["metadata"]["name"], event["count"]
            if self._events.get(name) != count:
                kind = "MODIFIED" if name in self._events else "ADDED"
                self._events[name] = count
                body = json.dumps({"object": event, "type": kind})
                table.writerow(self._polled_row(self._world.now, body, "events", event))

    def _write_objects(self, now: float) -> None:
        table = self._table("k8s_objects_raw.tsv", LOG_COLUMNS)
        for kind, plural in POLLED.items():
            for manifest in self._world.cluster.list(kind):
                table.writerow(self._polled_row(now, json.dumps(manifest), plural, manifest))

    def _polled_row(self, time: float, body: str, plural: str, manifest: Manifest) -> Iterable[str]:
        stamp = _stamp(time)
        namespace = manifest["metadata"].get("namespace", "")
        resource = _map({"k8s.namespace.name": namespace} if namespace else {})
        attributes = _map({"event.domain": "k8s", "k8s.resource.name": plural})
        return (
            stamp, stamp[:19], "", "", "0", "", "0", "", body, "", resource, "", "k8sobjectsreceiver", "", "{}",
            attributes,
        )  # fmt: skip

    # --- files

    def _service(self, service: str) -> Any:
        return self._table(f"metrics/service_{service}_raw.tsv", SERVICE_COLUMNS)

    def _table(self, name: str, columns: Iterable[str]) -> Any:
        path = self._directory / name
        table = self._tables.get(path)
        if table is None:
            file = self._files.enter_context(path.open("w", encoding="utf-8", newline=""))
            table = self._tables[path] = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(columns)
        return table

    def _resource(self, service: str, pod: str) -> str:
        return _resource(service, pod, self._monitoring.application.namespace)


@lru_cache(maxsize=4096)
def _resource(service: str, pod: str, namespace: str) -> str:
    return _map(
        {
            "deployment.environment": "demo",
            "k8s.container.name": service,
            "k8s.deployment.name": service,
            "k8s.namespace.name": namespace,
            "k8s.pod.name": pod,
            "service.name": service,
            "service.namespace": "opentelemetry-demo",
            "service.version": "2.2.0",
            "telemetry.sdk.name": "opentelemetry",
        }
    )


def _map(attributes: Mapping[str, str]) -> str:
    """A map as ClickHouse writes it."""
    pairs = (f"'{key}':'{_escaped(value)}'" for key, value in attributes.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


@lru_cache(maxsize=4096)
def _second(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"


def _stamp(time: float, nanoseconds: bool = False) -> str:
    """ClickHouse's form, in milliseconds or nanoseconds."""
    whole = int(time)
    part = time - whole
    return (
        f"{_second(whole)}.{int(part * 1e6) * 1000:09d}"
        if nanoseconds
        else f"{_second(whole)}.{int(part * 1e3):03d}"
    )


def _times(scale: float, random: Random) -> int:
    """How often something is written that happens `scale` times."""
    return int(scale) + (random.random() < scale % 1)


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "labels": dict(alert.labels),
        "annotations": {"description": alert.description},
        "state": alert.state,
        "activeAt": f"{datetime.fromtimestamp(alert.active_at, UTC).replace(tzinfo=None).isoformat()}Z",
        "value": f"{alert.value:e}",
    }
