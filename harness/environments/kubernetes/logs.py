"""Logs of a live application, read from its containers.

Owns: which containers are read, and how a line becomes a record. Pods that are gone take their lines with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from harness.cluster import Cluster, ClusterError
from harness.telemetry import LogRecord
from scenarios.applications.schema import Application
from scenarios.faults.objects import restarts

TAIL = 500
"""Lines that are read per container."""
COMPONENT = "app.kubernetes.io/component"


class ContainerLogs:
    """The containers of one application, under the identity of a cluster object."""

    def __init__(self, cluster: Cluster, application: Application) -> None:
        self._cluster = cluster
        self._namespace = application.namespace

    def matching(
        self, service: str, pod: str, low: float, high: float, contains: str, limit: int, severity: str
    ) -> Sequence[LogRecord]:
        """The newest `limit` matching records, oldest first."""
        wanted = contains.lower()
        found = [
            record
            for record in self._records(service, pod)
            if low <= record.time <= high
            and wanted in record.body.lower()
            and severity in ("", record.severity)
        ]
        found.sort(key=lambda record: record.time)
        return found[-limit:] if limit else []

    def _records(self, service: str, pod: str) -> Iterator[LogRecord]:
        try:
            pods = self._cluster.list("Pod", self._namespace)
        except ClusterError:
            return
        for one in pods:
            name = one["metadata"]["name"]
            owner = (one["metadata"].get("labels") or {}).get(COMPONENT, "")
            if (not pod or pod == name) and (not service or service == owner):
                yield from self._lines(name, owner, (True, False) if restarts(one) else (False,))

    def _lines(self, pod: str, service: str, lives: Sequence[bool]) -> Iterator[LogRecord]:
        for previous in lives:
            try:
                lines = self._cluster.logs(pod, self._namespace, previous=previous, tail=TAIL)
            except ClusterError:
                continue
            for time, text in lines:
                yield record_of(time, service, pod, text)


def record_of(time: float, service: str, pod: str, text: str) -> LogRecord:
    """A line of a container as a collector would store it: JSON with severity and body, or plain text."""
    try:
        line = json.loads(text)
        return LogRecord(float(line["time"]), service, pod, line["severity"], str(line["body"]))
    except (ValueError, KeyError, TypeError):
        return LogRecord(time, service, pod, "INFO", text)
