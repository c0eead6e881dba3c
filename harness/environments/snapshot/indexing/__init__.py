"""One pass over the evidence of a snapshot into an index: `build`.

Owns: the schema of an index, the order of the steps. Does not own: how each kind of evidence is read (the modules
beside this one), where an index lies and who may build it (`harness/environments/snapshot/cache.py`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.environments.snapshot.indexing import alerts, logs, metrics, objects, traces
from harness.environments.snapshot.layout import Layout
from harness.environments.snapshot.report import Report

FORMAT = 1
"""Of an index; part of its address, so that another version of this code builds its own."""
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE files (name TEXT, sha256 TEXT, bytes INT);
CREATE TABLE problems (place TEXT, what TEXT, hint TEXT);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE alerts (sample REAL, name TEXT, labels TEXT, state TEXT, since REAL, value REAL, description TEXT);
CREATE TABLE series (target TEXT, metric TEXT, labels TEXT, times BLOB, points BLOB);
CREATE TABLE logs (time REAL, service INT, pod INT, container INT, severity TEXT, body TEXT);
CREATE TABLE objects (kind TEXT, namespace TEXT, name TEXT, first REAL, last REAL, gone INT, manifest TEXT,
    PRIMARY KEY (kind, namespace, name));
CREATE TABLE versions (kind TEXT, namespace TEXT, name TEXT, time REAL, manifest TEXT);
CREATE TABLE events (id TEXT PRIMARY KEY, last REAL, manifest TEXT);
CREATE TABLE paths (id INTEGER PRIMARY KEY, services TEXT, operation TEXT);
CREATE TABLE requests (name TEXT PRIMARY KEY, numbers BLOB);
CREATE TABLE failures (bucket INT, path INT, message TEXT, PRIMARY KEY (bucket, path)) WITHOUT ROWID;
CREATE TABLE calls (caller TEXT, callee TEXT, PRIMARY KEY (caller, callee)) WITHOUT ROWID;
"""
ORDER = """
CREATE INDEX series_of ON series (target, metric);
CREATE INDEX logs_in_time ON logs (time);
CREATE INDEX logs_of_service ON logs (service, time);
CREATE INDEX logs_of_pod ON logs (pod, time);
CREATE INDEX versions_of ON versions (kind, namespace, name, time);
ANALYZE;
"""
FAST = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE; PRAGMA cache_size=-65536;"
"""Safe here: a file that was not finished is never published."""


def build(layout: Layout, checksums: Mapping[str, str], report: Report, target: Path) -> None:
    """Write the index of a snapshot to the empty directory `target`.

    `checksums` are SHA-256 sums by file name. What could not be read is in the index's own table of problems."""
    database = sqlite3.connect(target / "index.sqlite", isolation_level=None)
    scratch = sqlite3.connect(target / "scratch.sqlite", isolation_level=None)
    try:
        for connection in (database, scratch):
            connection.executescript(FAST)
            connection.execute("BEGIN")
        database.executescript(SCHEMA)
        database.execute("BEGIN")
        ends = [
            alerts.index(layout, database, report),
            objects.index_objects(layout, database, scratch, report),
            objects.index_events(layout, database, report),
            logs.index(layout, database, report),
            metrics.index(layout, database, report),
            traces.index(layout, database, scratch, report),
        ]
        _describe(layout, checksums, report, max(ends), database)
        database.execute("COMMIT")
        database.executescript(ORDER)
    finally:
        database.close()
        scratch.close()
        (target / "scratch.sqlite").unlink(missing_ok=True)


def _describe(
    layout: Layout, checksums: Mapping[str, str], report: Report, end: float, database: sqlite3.Connection
) -> None:
    database.executemany(
        "INSERT INTO files VALUES (?, ?, ?)",
        [(layout.name(path), checksums[layout.name(path)], path.stat().st_size) for path in layout.evidence],
    )
    database.executemany("INSERT INTO problems VALUES (?, ?, ?)", report.problems)
    facts: dict[str, Any] = {"format": FORMAT, "end": end, "problems": len(report)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in facts.items()])
