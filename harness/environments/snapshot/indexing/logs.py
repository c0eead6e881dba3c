"""Log records into the index.

Owns: both forms of the table. Does not own: severities (`harness/environments/otel`), selection of records
(`index.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice

from harness.environments.otel.severity import severity_of
from harness.environments.snapshot.cells import parse_map, parse_stamp
from harness.environments.snapshot.indexing.names import Names
from harness.environments.snapshot.layout import Layout
from harness.environments.snapshot.report import Report
from harness.environments.snapshot.tsv import Columns, Table

COLUMNS: Columns = {
    "time": ("Timestamp", "TimestampTime", "timestamp"),
    "severity": ("SeverityText", "severity_text", "severity"),
    "number": ("SeverityNumber", "severity_number"),
    "service": ("ServiceName", "service_name", "service"),
    "body": ("Body", "body"),
    "resource": ("ResourceAttributes", "resource_attributes"),
    "log": ("LogAttributes", "log_attributes"),
}
BATCH = 5000
Row = tuple[float, int, int, int, str, str]


def index(layout: Layout, database: sqlite3.Connection, report: Report) -> float:
    """Write all records; the time of the last one, 0 without any."""
    path = layout.tables.get("logs")
    if path is None:
        return 0.0
    rows = _rows(Table(path, layout.name(path), COLUMNS, ("time", "body"), report), Names(database), report)
    while batch := list(islice(rows, BATCH)):
        database.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", batch)
    return float(database.execute("SELECT coalesce(max(time), 0) FROM logs").fetchone()[0])


def _rows(table: Table, names: Names, report: Report) -> Iterator[Row]:
    for line, (time, severity, number, service, body, resource, log) in table:
        try:
            stamp = parse_stamp(time)
        except ValueError as error:
            report.add(table.name, line, f"{error}; the row is left out")
            continue
        try:
            attributes = parse_map(resource)
            # Container logs carry the pod in their own attributes.
            own = parse_map(log) if "k8s.pod.name" in log else {}
        except ValueError as error:
            report.add(table.name, line, f"{error}; kept without its attributes")
            attributes, own = {}, {}
        pod = attributes.get("k8s.pod.name") or own.get("k8s.pod.name", "")
        container = attributes.get("k8s.container.name") or own.get("k8s.container.name", "")
        service = service or attributes.get("service.name", "")
        level = severity_of(severity, int(number) if number.strip().isdigit() else 0)
        yield stamp, names[service], names[pod], names[container], level, body
