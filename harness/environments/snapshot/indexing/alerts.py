"""Alert files into the index: bare lists and Prometheus API bodies, one sample per file.

Owns: both forms, the sample's time, which of two files of one minute counts. Does not own: what an alert means.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.environments.snapshot.cells import file_stamp, parse_json, parse_stamp
from harness.environments.snapshot.layout import Layout
from harness.environments.snapshot.report import Report

SUBSET = "alerting_state"
"""Part of the names of files that repeat the firing alerts of a minute."""
STATES = ("firing", "pending")
Row = tuple[float, str, str, str, float, float, str]


def index(layout: Layout, database: sqlite3.Connection, report: Report) -> float:
    """Write all samples; the time of the last one, 0 without any."""
    last = 0.0
    for sample, path in _samples(layout, report):
        rows = list(_alerts(path, layout.name(path), sample, report))
        # A sample without alerts says that nothing fired then.
        database.executemany("INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?)", rows or [_silence(sample)])
        last = max(last, sample)
    return last


def _silence(sample: float) -> Row:
    return (sample, "", "{}", "", 0.0, 0.0, "")


def _samples(layout: Layout, report: Report) -> Iterator[tuple[float, Path]]:
    """One file per sample time, oldest first: the full one where there are two."""
    chosen: dict[float, Path] = {}
    for path in layout.alerts:
        stamp = file_stamp(path.name)
        if stamp is None:
            stamp = path.stat().st_mtime
            report.add(layout.name(path), 0, "has no time in its name; the time of the file is used")
        minute = stamp // 60
        known = chosen.get(minute)
        if known is None or (SUBSET in known.name and SUBSET not in path.name):
            chosen[minute] = path
    for minute in sorted(chosen):
        yield file_stamp(chosen[minute].name) or chosen[minute].stat().st_mtime, chosen[minute]


def _alerts(path: Path, name: str, sample: float, report: Report) -> Iterator[Row]:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        report.add(name, raw[: error.start].count(b"\n") + 1, "is no UTF-8; shown as replacement characters")
        text = raw.decode("utf-8", errors="replace")
    try:
        body = parse_json(text)
    except ValueError as error:
        report.add(name, 1, f"{error}; the whole sample is left out")
        return
    listed = body.get("data", body) if isinstance(body, dict) else body
    listed = listed.get("alerts") if isinstance(listed, dict) else listed
    if not isinstance(listed, list):
        report.add(name, 1, "found neither a list of alerts nor data.alerts; the sample is left out")
        return
    for number, alert in enumerate(listed):
        row = _row(alert, sample)
        if row is None:
            report.add(name, 1, f"alert {number}: expected labels.alertname and a state; left out")
        else:
            yield row


def _row(alert: Any, sample: float) -> Row | None:
    labels = alert.get("labels") if isinstance(alert, dict) else None
    if not isinstance(labels, dict) or not labels.get("alertname"):
        return None
    state = alert.get("state", "firing")
    if isinstance(state, dict):  # Alertmanager's form
        state = "firing" if state.get("state", "active") == "active" else "pending"
    if state not in STATES:
        return None
    annotations = alert.get("annotations")
    described = annotations if isinstance(annotations, dict) else {}
    description = described.get("description") or described.get("summary") or described.get("message") or ""
    return (
        sample,
        str(labels["alertname"]),
        json.dumps({str(key): str(value) for key, value in labels.items()}),
        state,
        _since(alert, sample),
        _number(alert.get("value")),
        str(description),
    )


def _since(alert: Mapping[str, Any], sample: float) -> float:
    try:
        return parse_stamp(str(alert.get("activeAt") or alert.get("startsAt")))
    except ValueError:
        return sample


def _number(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return 0.0
    return found if abs(found) < float("inf") else 0.0
