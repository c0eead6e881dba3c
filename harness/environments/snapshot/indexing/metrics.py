"""Metric tables of services and pods into the index, one packed row per series.

Owns: both forms of the tables, labels from the columns and from `tags`; histograms, of which only percentiles are
kept: nobody reads buckets, and hundreds of them would hide every other series. One file is held in memory at a time.
"""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.environments.snapshot.cells import parse_map, parse_stamp
from harness.environments.snapshot.layout import METRICS, Layout
from harness.environments.snapshot.report import Report
from harness.environments.snapshot.tsv import Columns, Table

COLUMNS: Columns = {
    "metric": ("metric_name",),
    "time": ("timestamp", "Timestamp"),
    "value": ("value",),
    "target": ("service_name", "pod_name", "service", "pod"),
    "namespace": ("namespace",),
    "tags": ("tags",),
    "bucket": ("bucket_le", "le"),
    "status": ("status_code",),
}
BUCKET = "_bucket"
PERCENTILES = (50, 95)
NOT_LABELS = frozenset({"__name__", "le", "namespace", "pod", "pod_name", "service_name", "status_code"})
"""Tags that columns repeat."""


class Key(NamedTuple):
    """One series as its rows spell it."""

    metric: str
    target: str
    namespace: str
    tags: str
    bucket: str
    status: str


class Points:
    """Times and values of one series in the order of the file."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.times = array("d")
        self.values = array("d")

    def sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """By time; the last value where a time is repeated."""
        times, values = np.frombuffer(self.times), np.frombuffer(self.values)
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        last = np.append(times[1:] != times[:-1], True)
        return times[last], values[last]


def index(layout: Layout, database: sqlite3.Connection, report: Report) -> float:
    """Write every series; the time of the last point, 0 without any."""
    end = 0.0
    for path in layout.metrics:
        found = METRICS.fullmatch(path.name)
        label, target = (
            ("pod" if found[1].lower() == "pod" else "service_name", found[2]) if found else ("", "")
        )
        read = _read(path, layout.name(path), target, report)
        for key, times, values in _folded(read):
            end = max(end, float(times[-1]))
            labels = json.dumps(_labels(key, label))
            row = (key.target, key.metric, labels, times.tobytes(), values.tobytes())
            database.execute("INSERT INTO series VALUES (?, ?, ?, ?, ?)", row)
    return end


def _read(path: Path, name: str, target: str, report: Report) -> Mapping[Key, Points]:
    series: dict[Key, Points] = {}
    unusable = 0
    for line, cells in Table(path, name, COLUMNS, ("metric", "time", "value"), report):
        metric, time, value, of, namespace, tags, bucket, status = cells
        try:
            stamp, number = parse_stamp(time), float(value)
        except ValueError as error:
            report.add(name, line, f"{error}; the row is left out")
            continue
        if not math.isfinite(number):
            unusable += 1
            continue
        key = Key(metric, of or target, namespace, tags, bucket, status)
        points = series.get(key)
        if points is None:
            points = series[key] = Points()
        points.times.append(stamp)
        points.values.append(number)
    if unusable:
        report.add(name, 0, f"{unusable} points are no numbers (series that ended); left out")
    return series


def _folded(series: Mapping[Key, Points]) -> Iterator[tuple[Key, np.ndarray, np.ndarray]]:
    """Every series, with the buckets of a histogram replaced by percentiles over all its series."""
    histograms: dict[Key, list[tuple[float, Points]]] = {}
    for key, points in series.items():
        if not key.metric.endswith(BUCKET):
            yield key, *points.sorted()
            continue
        bound = key.bucket or _tags(key.tags).get("le", "")
        try:
            edge = float(bound.replace("Inf", "inf"))
        except ValueError:
            continue  # a bucket without a bound says nothing
        family = Key(key.metric.removesuffix(BUCKET), key.target, key.namespace, "", "", "")
        histograms.setdefault(family, []).append((edge, points))
    for family, buckets in histograms.items():
        times, counts, edges = _increases(buckets)
        for percentile in PERCENTILES:
            values = _quantiles(counts, edges, percentile / 100)
            known = np.isfinite(values)
            if known.any():
                yield family._replace(metric=f"{family.metric}_p{percentile}"), times[known], values[known]


def _increases(buckets: Iterable[tuple[float, Points]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(times, new requests per time and cumulative bucket, upper bounds); a reset counter adds nothing."""
    found = [(edge, *points.sorted()) for edge, points in buckets]
    times = np.unique(np.concatenate([times for _, times, _ in found]))
    edges = np.array(sorted({edge for edge, _, _ in found}))
    counts = np.zeros((len(times), len(edges)))
    for edge, own, values in found:
        rises = np.maximum(np.diff(values, prepend=values[0]), 0)
        counts[np.searchsorted(times, own), np.searchsorted(edges, edge)] += rises
    return times, counts, edges


def _quantiles(counts: np.ndarray, edges: np.ndarray, share: float) -> np.ndarray:
    """Linear interpolation within a bucket, as Prometheus does; NaN where nothing was counted."""
    total = counts[:, -1]
    rank = total * share
    place = np.argmax(counts >= rank[:, None], axis=1)
    finite = edges[np.isfinite(edges)]
    if not len(finite):
        return np.full(len(total), np.nan)
    upper = np.minimum(edges[place], finite[-1])
    lower = np.where(place > 0, edges[place - 1], 0.0)
    rows = np.arange(len(total))
    below = np.where(place > 0, counts[rows, place - 1], 0.0)
    inside = counts[rows, place] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        value = lower + (upper - lower) * np.where(inside > 0, (rank - below) / inside, 1.0)
    return np.where(total > 0, np.minimum(value, finite[-1]), np.nan)


def _labels(key: Key, target_label: str) -> dict[str, str]:
    labels = {"namespace": key.namespace} if key.namespace else {}
    labels[target_label] = key.target
    if key.status:
        labels["status_code"] = key.status
    return labels | {name: text for name, text in _tags(key.tags).items() if name not in NOT_LABELS}


def _tags(tags: str) -> Mapping[str, str]:
    try:
        return parse_map(tags)
    except ValueError:
        return {"tags": tags}
