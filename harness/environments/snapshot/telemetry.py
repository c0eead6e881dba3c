"""The Telemetry protocol over a recorded snapshot.

Owns: windows, and the service graph: what traces show, and for an application that the harness knows also its
published architecture, as the official tools do with their architecture file. Does not own: the index.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.environments.snapshot.index import Index
from harness.telemetry import Alert, CallPath, LogRecord, Observation, Series, Topology

EVER = (0.0, math.inf)


class SnapshotTelemetry:
    """What monitoring had recorded."""

    def __init__(self, index: Index, architecture: Topology) -> None:
        self._index = index
        self._architecture = architecture

    def alerts(self) -> Sequence[Alert]:
        """Alerts of the last sample."""
        samples = self._index.alert_samples
        return samples[-1][1] if samples else ()

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> Sequence[tuple[float, Alert]]:
        """(sample time, alert) of every firing alert in the window."""
        begin, until = _window(start, end)
        return [
            (time, alert)
            for time, alerts in self._index.alert_samples
            if begin <= time <= until
            for alert in alerts
            if alert.state == "firing"
        ]

    def metric_names(self, target: str) -> Sequence[str]:
        """Names of the metrics known for a service or pod."""
        return self._index.metric_names(target)

    def metrics(
        self, target: str, names: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Sequence[Series]:
        """Series of a service or pod; all its metrics when `names` is empty."""
        return list(self._index.metrics(target, names, *_window(start, end)))

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
        wanted = {column: name for column, name in (("service", service), ("pod", pod)) if name}
        return self._index.logs(wanted, *_window(start, end), contains, limit, severity)

    def call_paths(self, start: float | None = None, end: float | None = None) -> Sequence[CallPath]:
        """Aggregated traces of the window."""
        return self._index.call_paths(*_window(start, end))

    def observations(
        self, kind: str, name: str, namespace: str, start: float | None = None, end: float | None = None
    ) -> Sequence[Observation]:
        """Recorded versions of an object, oldest first."""
        return self._index.observations(kind, name, namespace, *_window(start, end))

    def topology(self) -> Topology:
        """The service graph."""
        seen = [service for call in self._index.calls for service in call]
        services = dict.fromkeys([*self._architecture.services, *self._index.metric_targets(), *seen])
        calls = dict.fromkeys([*self._architecture.calls, *self._index.calls])
        return Topology(tuple(services), tuple(calls))


def _window(start: float | None, end: float | None) -> tuple[float, float]:
    first, last = EVER
    return first if start is None else start, last if end is None else end
