"""The Telemetry protocol: what monitoring saw. The agent's tools and the verdict read it; nobody writes it.

Owns: the protocol and its value types. Does not own: where the data come from (simulated request model,
snapshot files, Prometheus and ClickHouse of a live cluster). Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from harness.cluster import Manifest

Severity = Literal["critical", "warning", "info", "none"]


_ENTITY_LABELS = (
    "service_name", "service", "pod", "deployment", "horizontalpodautoscaler", "instance", "job", "namespace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as the Prometheus API reports it."""

    name: str
    labels: Mapping[str, str]
    """alertname, severity, namespace, and service_name | pod | deployment | ... ."""
    state: Literal["pending", "firing"]
    active_at: float
    """Since when its expression holds."""
    value: float = 0.0
    description: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What makes two alerts the same one: name and affected entity."""
        return (self.name, self.entity)

    @property
    def entity(self) -> str:
        """The affected thing: the first of the labels that the official tools look at."""
        for label in _ENTITY_LABELS:
            if label in self.labels:
                return self.labels[label]
        return ""


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one object over time."""

    metric: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]
    """(time, value), oldest first."""


class LogRecord(NamedTuple):
    """One log record as a collector stored it."""

    time: float
    service: str
    pod: str
    severity: Literal["DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
    body: str


@dataclass(frozen=True, slots=True)
class CallPath:
    """All traces of a time window that took the same path of services."""

    path: tuple[str, ...]
    """Services from the outermost caller to the innermost callee."""
    operation: str
    count: float
    errors: float
    p95_ms: float
    sample_error: str = ""
    """Status message of one failed span at the end of the path."""


class Observation(NamedTuple):
    """An object as the recorder saw it at one time."""

    time: float
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Topology:
    """Which service calls which."""

    services: Sequence[str]
    calls: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """(caller, callee)."""


class Telemetry(Protocol):
    """What monitoring saw, over a time window. `start`/`end` of None mean the earliest / the latest known."""

    def alerts(self) -> Sequence[Alert]:
        """Alerts that are pending or firing now."""

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> Sequence[tuple[float, Alert]]:
        """(sample time, alert) for each minute in the window in which an alert was firing."""

    def metric_names(self, target: str) -> Sequence[str]:
        """Names of the metrics known for a service or pod."""

    def metrics(
        self, target: str, names: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Sequence[Series]:
        """Series of a service or pod; all its metrics when `names` is empty."""

    def logs(
        self,
        service: str = "",
        pod: str = "",
        start: float | None = None,
        end: float | None = None,
        contains: str = "",
        limit: int = 200,
        severity: str = "",
    ) -> Sequence[LogRecord]:
        """The newest `limit` matching records, oldest first; of all severities unless one is named."""

    def call_paths(self, start: float | None = None, end: float | None = None) -> Sequence[CallPath]:
        """Aggregated traces of the window."""

    def observations(
        self, kind: str, name: str, namespace: str, start: float | None = None, end: float | None = None
    ) -> Sequence[Observation]:
        """Recorded versions of an object, oldest first; a new one only where something changed."""

    def topology(self) -> Topology:
        """The service graph."""


SAMPLE_S = 60.0
"""How far samples of an alert's history lie apart."""


def firing_spans(
    history: Sequence[tuple[float, Alert]], origin: float, until: float
) -> dict[str, list[list[float]]]:
    """A history as spans per alert, in seconds from `origin` and none beyond `until`: neighbouring samples are one
    span, which lasts until the alert was first not found firing."""
    spans: dict[str, list[list[float]]] = {}
    for time, alert in history:
        begin = time - origin
        of_alert = spans.setdefault(f"{alert.name} {alert.entity}", [])
        end = round(min(begin + SAMPLE_S, until), 3)
        if of_alert and begin <= of_alert[-1][1] + 1e-3:
            of_alert[-1][1] = max(end, of_alert[-1][1])
        else:
            of_alert.append([round(begin, 3), end])
    return dict(sorted(spans.items()))
