"""What a workload says about itself: counters in Prometheus' form, JSON log lines."""

import json
import sys
import threading
import time

from .workload import NAME, Path

Labels = tuple[tuple[str, str], ...]
BUCKETS = (5, 10, 25, 50, 100, 250, 500, 1000, 1500, 2000, 3000, 5000, 10000, 15000, 30000)
LOG_EVERY_S = 1.0


class Metrics:
    """Counters by name and labels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, Labels], float] = {}

    def add(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def set(self, name: str, value: float, /, **labels: str) -> None:
        with self._lock:
            self._values[name, tuple(sorted(labels.items()))] = value

    def text(self) -> str:
        with self._lock:
            rows = sorted(self._values.items())
        lines = []
        for (name, labels), value in rows:
            inside = ",".join(f"{key}={json.dumps(str(text))}" for key, text in labels)
            lines.append(f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}")
        return "\n".join(lines) + "\n"


METRICS = Metrics()
_logged: dict[str, float] = {}


def log(severity: str, body: str) -> None:
    """One JSON line; equal lines at most once a second."""
    now = time.time()
    if now - _logged.get(body, 0.0) < LOG_EVERY_S:
        return
    if len(_logged) > 500:
        _logged.clear()
    _logged[body] = now
    line = {"time": round(now, 3), "severity": severity, "service": NAME, "body": body}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def span(operation: str, kind: str, ok: bool, ms: float | None = None) -> None:
    """Count a span as the collector's span metrics do."""
    status = "STATUS_CODE_UNSET" if ok else "STATUS_CODE_ERROR"
    labels = {"service_name": NAME, "span_name": operation, "span_kind": kind, "status_code": status}
    METRICS.add("traces_span_metrics_calls_total", **labels)
    if ms is not None:
        for edge in BUCKETS:
            if ms <= edge:
                METRICS.add(
                    "traces_span_metrics_duration_milliseconds_bucket", service_name=NAME, le=str(edge)
                )
        METRICS.add("traces_span_metrics_duration_milliseconds_bucket", service_name=NAME, le="+Inf")


def passed(path: Path, operation: str, ok: bool, message: str = "") -> None:
    """Count a request by the path of services that it took."""
    labels = {"path": "/".join(path), "operation": operation}
    METRICS.add("shop_paths_total", status="ok" if ok else "error", **labels)
    if message:
        METRICS.set("shop_path_last_error", time.time(), message=message[:160], **labels)
