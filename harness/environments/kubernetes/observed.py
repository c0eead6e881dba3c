"""What is the same for the telemetry of every live application, whoever measures it.

Owns: windows of time, log records from a source, versions of objects as the monitor saw them, the service graph.
Does not own: where log records and call paths are (`logs.py`, `sources`), alerts and metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.cluster import Cluster, ObjectRef
from harness.environments.kubernetes.monitor import Monitor
from harness.telemetry import CallPath, LogRecord, Observation, Topology
from scenarios.applications.graph import service_graph
from scenarios.applications.schema import Application


class LogSource(Protocol):
    """Where log records are."""

    def matching(
        self, service: str, pod: str, low: float, high: float, contains: str, limit: int, severity: str
    ) -> Sequence[LogRecord]:
        """The newest `limit` matching records, oldest first."""


class PathSource(Protocol):
    """Where call paths are."""

    def call_paths(self, low: float, high: float) -> Sequence[CallPath]:
        """Calls of a window by path."""


class ObservedTelemetry:
    """The part of the Telemetry protocol that live applications share."""

    def __init__(
        self,
        monitor: Monitor,
        cluster: Cluster,
        application: Application,
        logs: LogSource,
        began: float = 0.0,
    ) -> None:
        """`began`: the earliest time that is asked for. What happened before is of other trials."""
        self._monitor = monitor
        self._cluster = cluster
        self._application = application
        self._logs = logs
        self._began = began

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
        """The newest `limit` matching records, oldest first."""
        low, high = self._window(start, end)
        return self._logs.matching(service, pod, low, high, contains, limit, severity)

    def observations(
        self, kind: str, name: str, namespace: str, start: float | None = None, end: float | None = None
    ) -> Sequence[Observation]:
        """Recorded versions of an object, oldest first; the version that held at `start` is included."""
        low, high = self._window(start, end)
        with self._monitor.lock:
            return self._monitor.history.seen(ObjectRef(kind, name, namespace), low, high)

    def topology(self) -> Topology:
        """The service graph: published architecture."""
        return service_graph(self._application)

    def _window(self, start: float | None, end: float | None) -> tuple[float, float]:
        """From when to when is asked: never the wrong way round."""
        now = self._cluster.now()
        high = max(self._began, now if end is None else min(end, now))
        return self._began if start is None else min(max(start, self._began), high), high
