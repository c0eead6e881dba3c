"""Questions to the index of a snapshot.

Owns: the queries, and the few small answers that every trial of a process asks for again and again. Does not own:
the index's schema (`indexing`), protocols (`cluster.py`, `telemetry.py`). Safe for use by several threads.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.cluster import Manifest
from harness.environments.snapshot.indexing.traces import BINS_PER_E, BUCKET_S, REQUEST_COLUMNS
from harness.errors import Problem
from harness.telemetry import Alert, CallPath, LogRecord, Observation, Series

PAGES_KIB = 16_384
"""Page cache of one thread's connection."""
_parse = msgspec.json.Decoder(dict[str, Any]).decode


class Index:
    """One published index. Everything that it returns from a cache is shared: read it, do not change it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    @property
    def _database(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?immutable=1", uri=True)
            connection.execute(f"PRAGMA cache_size=-{PAGES_KIB}")
            self._local.connection = connection
        return connection

    # --- the snapshot as a whole

    @cached_property
    def end(self) -> float:
        """When the recording ended, seconds since the epoch: the snapshot's present."""
        return float(self._fact("end"))

    @cached_property
    def problem_count(self) -> int:
        """Problems that indexing found, listed one by one or not."""
        return int(self._fact("problems"))

    def problems(self) -> list[Problem]:
        """What indexing could not use, with file and line."""
        return [Problem(*row) for row in self._database.execute("SELECT place, what, hint FROM problems")]

    def checksums(self) -> dict[str, str]:
        """SHA-256 of every source file by its name."""
        return dict(self._database.execute("SELECT name, sha256 FROM files"))

    def _fact(self, name: str) -> Any:
        (value,) = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return json.loads(value)

    # --- alerts

    @cached_property
    def alert_samples(self) -> Sequence[tuple[float, Sequence[Alert]]]:
        """(sample time, alerts that were pending or firing then), oldest first."""
        samples: dict[float, list[Alert]] = {}
        rows = self._database.execute("SELECT * FROM alerts ORDER BY sample")
        for time, name, labels, state, since, value, description in rows:
            found = samples.setdefault(time, [])
            if name:
                found.append(Alert(name, _labels(labels), state, since, value, description))
        return list(samples.items())

    # --- metrics

    @lru_cache(maxsize=4096)  # noqa: B019 (indexes live as long as their process)
    def metric_names(self, target: str) -> tuple[str, ...]:
        """Names of the metrics of a service or pod."""
        rows = self._database.execute("SELECT DISTINCT metric FROM series WHERE target = ?", (target,))
        return tuple(name for (name,) in rows)

    def metrics(self, target: str, names: Sequence[str], start: float, end: float) -> Iterator[Series]:
        """Series of a service or pod within a window."""
        for name in names or self.metric_names(target):
            rows = self._database.execute(
                "SELECT labels, times, points FROM series WHERE target = ? AND metric = ?", (target, name)
            )
            for labels, packed_times, packed_points in rows:
                times, points = array("d", packed_times), array("d", packed_points)
                kept = [(t, v) for t, v in zip(times, points, strict=True) if start <= t <= end]
                yield Series(name, _labels(labels), kept)

    def metric_targets(self) -> list[str]:
        """Services that have metrics."""
        rows = self._database.execute(
            "SELECT DISTINCT target FROM series WHERE json_extract(labels, '$.service_name') IS NOT NULL"
        )
        return [target for (target,) in rows]

    # --- logs

    def logs(
        self,
        wanted: Mapping[str, str],
        start: float,
        end: float,
        contains: str,
        limit: int,
        severity: str = "",
    ) -> list[LogRecord]:
        """The newest records, oldest first. `wanted` holds names by `service`, `pod` and `container`."""
        conditions = ["time BETWEEN ? AND ?"]
        parameters: list[Any] = [start, end]
        for column, name in wanted.items():
            number = self.name_numbers.get(name)
            if number is None:
                return []
            conditions.append(f"{column} = ?")
            parameters.append(number)
        if severity:
            conditions.append("severity = ?")
            parameters.append(severity)
        if contains:
            conditions.append("body LIKE ? ESCAPE '!'")
            escaped = contains.replace("!", "!!").replace("%", "!%").replace("_", "!_")
            parameters.append(f"%{escaped}%")
        rows = self._database.execute(
            f"SELECT time, service, pod, severity, body FROM logs WHERE {' AND '.join(conditions)} "
            "ORDER BY time DESC LIMIT ?",
            (*parameters, limit),
        )
        names = self.names
        return [
            LogRecord(time, names[service], names[pod], severity, body)
            for time, service, pod, severity, body in rows
        ][::-1]

    @cached_property
    def names(self) -> Mapping[int, str]:
        """Names of services, pods and operations by their numbers."""
        return {0: "", **dict(self._database.execute("SELECT id, name FROM names"))}

    @cached_property
    def name_numbers(self) -> Mapping[str, int]:
        """The other way round."""
        return {name: number for number, name in self.names.items()}

    # --- traces

    def call_paths(self, start: float, end: float) -> list[CallPath]:
        """Calls within a window added up by path, outermost first. Windows are exact to BUCKET_S."""
        columns = self._requests
        first, last = (int(np.searchsorted(columns["bucket"], t - BUCKET_S / 2)) for t in (start, end))
        path, width = columns["path"][first:last], columns["bin"][first:last]
        calls, failed = columns["calls"][first:last], columns["failed"][first:last]
        told = self._database.execute(
            "SELECT path, max(message) FROM failures WHERE bucket >= ? AND bucket < ? GROUP BY path",
            (start - BUCKET_S / 2, end - BUCKET_S / 2),
        )
        messages = dict(told.fetchall())
        found = []
        for number in np.unique(path).tolist():
            of_path = path == number
            own = calls[of_path]
            services, operation = self._paths[number]
            p95 = _percentile(width[of_path], own, 0.95)
            counts = float(own.sum()), float(failed[of_path].sum())
            found.append(CallPath(services, operation, *counts, p95, messages.get(number, "")))
        return sorted(found, key=lambda each: (len(each.path), each.path, each.operation))

    @cached_property
    def _requests(self) -> Mapping[str, np.ndarray]:
        rows = self._database.execute("SELECT name, numbers FROM requests")
        found = {name: np.frombuffer(numbers, dtype=np.int64) for name, numbers in rows}
        return found or {name: np.empty(0, dtype=np.int64) for name in REQUEST_COLUMNS}

    @cached_property
    def _paths(self) -> Mapping[int, tuple[tuple[str, ...], str]]:
        rows = self._database.execute("SELECT id, services, operation FROM paths")
        return {number: (tuple(json.loads(services)), operation) for number, services, operation in rows}

    @cached_property
    def calls(self) -> Sequence[tuple[str, str]]:
        """(caller, callee) of every call that was seen."""
        return self._database.execute("SELECT caller, callee FROM calls").fetchall()

    # --- objects

    def manifest(self, kind: str, name: str, namespace: str) -> Manifest | None:
        """A fresh copy of an object that was there at the end; None for others."""
        row = self._database.execute(
            "SELECT manifest FROM objects WHERE kind = ? AND namespace = ? AND name = ? AND NOT gone",
            (kind, namespace, name),
        ).fetchone()
        return _parse(row[0]) if row else None

    @lru_cache(maxsize=64)  # noqa: B019
    def manifests(self, kind: str) -> Sequence[Manifest]:
        """All objects of a kind that were there at the end, by namespace and name; Events by time."""
        query = (
            "SELECT manifest FROM events ORDER BY last"
            if kind == "Event"
            else "SELECT manifest FROM objects WHERE kind = ? AND NOT gone ORDER BY namespace, name"
        )
        return [_parse(text) for (text,) in self._database.execute(query, () if kind == "Event" else (kind,))]

    def observations(
        self, kind: str, name: str, namespace: str, start: float, end: float
    ) -> list[Observation]:
        """Versions of an object, oldest first; the version that held at `start` is included."""
        rows = self._database.execute(
            "SELECT time, manifest FROM versions WHERE kind = ? AND namespace = ? AND name = ? AND time <= ? "
            "ORDER BY time",
            (kind, namespace, name, end),
        ).fetchall()
        first = max((place for place, (time, _) in enumerate(rows) if time < start), default=0)
        return [Observation(time, _parse(manifest)) for time, manifest in rows[first:]]

    @cached_property
    def namespaces(self) -> Mapping[str, int]:
        """Namespaces of workloads and events, with the number of workloads in each."""
        workloads = self._database.execute(
            "SELECT namespace, count(*) FROM objects WHERE kind IN ('Deployment', 'StatefulSet') GROUP BY namespace"
        )
        events = self._database.execute(
            "SELECT DISTINCT json_extract(manifest, '$.involvedObject.namespace'), 0 FROM events"
        )
        return {name: count for name, count in [*events, *workloads] if name}


@lru_cache(maxsize=32)
def open_index(path: Path) -> Index:
    """The index at a path; one shared object per process."""
    return Index(path)


@lru_cache(maxsize=16_384)
def _labels(text: str) -> Mapping[str, str]:
    labels: dict[str, str] = json.loads(text)
    return labels


def _percentile(bins: np.ndarray, counts: np.ndarray, share: float) -> float:
    """Milliseconds that `share` of the calls stay below."""
    order = np.argsort(bins)
    passed = np.cumsum(counts[order])
    place = int(np.searchsorted(passed, share * passed[-1]))
    return round(math.exp(int(bins[order][place]) / BINS_PER_E), 1)
