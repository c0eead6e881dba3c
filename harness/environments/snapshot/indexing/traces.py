"""Spans into the index, added up to call paths: who called whom through whom, how often, how slow, how wrong.

Owns: grouping of spans by trace, durations in bins. Does not own: what a call is and which path leads to it
(`harness/environments/otel/spans.py`), comparison of windows (tools). Spans are sorted by trace on disk, so memory
does not grow with their number.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby, islice, pairwise
from operator import itemgetter

import numpy as np

from harness.environments.otel.spans import Call, Span, calls_of, is_outgoing, target_in
from harness.environments.snapshot.cells import parse_stamp
from harness.environments.snapshot.indexing.names import Names
from harness.environments.snapshot.layout import Layout
from harness.environments.snapshot.report import Report
from harness.environments.snapshot.tsv import Columns, Table

COLUMNS: Columns = {
    "time": ("Timestamp", "timestamp"),
    "trace": ("TraceId", "trace_id"),
    "span": ("SpanId", "span_id"),
    "parent": ("ParentSpanId", "parent_span_id"),
    "name": ("SpanName", "span_name"),
    "kind": ("SpanKind", "span_kind"),
    "service": ("ServiceName", "service_name"),
    "attributes": ("SpanAttributes", "span_attributes"),
    "duration": ("Duration", "duration"),
    "status": ("StatusCode", "status_code"),
    "message": ("StatusMessage", "status_message"),
}
REQUIRED = ("time", "trace", "span", "name", "service", "duration")
BUCKET_S = 15
"""Seconds that are added up; windows are exact to this."""
BINS_PER_E = 8
"""Duration bins per factor e: a percentile is exact to 6 %."""
BATCH = 5000
REQUEST_COLUMNS = ("bucket", "path", "bin", "calls", "failed")
"""Packed columns of the table of added-up calls, sorted by bucket: a window is one slice of them."""


def index(layout: Layout, database: sqlite3.Connection, scratch: sqlite3.Connection, report: Report) -> float:
    """Write call paths and the graph of calls; the time of the last span, 0 without any."""
    path = layout.tables.get("traces")
    if path is None:
        return 0.0
    names = Names(database)
    table = Table(path, layout.name(path), COLUMNS, REQUIRED, report)
    marks = ", ".join("?" * len(Span._fields))
    scratch.execute(f"CREATE TABLE spans ({', '.join(Span._fields)})")
    rows = _spans(table, names, report)
    while batch := list(islice(rows, BATCH)):
        scratch.executemany(f"INSERT INTO spans VALUES ({marks})", batch)
    _note_selection(scratch, table, report)
    ordered: Iterator[Span[int]] = map(Span._make, scratch.execute("SELECT * FROM spans ORDER BY trace"))
    calls = (call for _, spans in groupby(ordered, itemgetter(0)) for call in calls_of(list(spans)))
    _write(database, *_added_up(calls))
    return float(scratch.execute("SELECT coalesce(max(time), 0) FROM spans").fetchone()[0])


def _spans(table: Table, names: Names, report: Report) -> Iterator[Span[int]]:
    for line, cells in table:
        time, trace, span, parent, name, kind, service, attributes, duration, status, message = cells
        try:
            begin, ms = parse_stamp(time), float(duration) / 1e6
        except ValueError as error:
            report.add(table.name, line, f"{error}; the row is left out")
            continue
        outgoing = is_outgoing(kind)
        target = target_in(attributes) if outgoing else ""
        failed = "error" in status.lower()
        yield Span(
            trace,
            span,
            parent,
            names[service],
            names[name],
            int(outgoing),
            names[target],
            begin,
            ms,
            int(failed),
            message if failed else "",
        )


def _note_selection(scratch: sqlite3.Connection, table: Table, report: Report) -> None:
    spans, failed = scratch.execute("SELECT count(*), coalesce(sum(failed), 0) FROM spans").fetchone()
    if spans and spans == failed:
        report.add(table.name, 0, "holds failed spans only: shares of errors cannot be told from it")


Sums = dict[tuple[tuple[int, ...], int], dict[tuple[int, int], list[int]]]
"""(path, operation) -> (bucket, bin) -> [calls, failed ones]."""
Messages = dict[tuple[tuple[int, ...], int], dict[int, str]]
"""(path, operation) -> bucket -> what one of the failed calls was told."""


def _added_up(calls: Iterable[Call[int]]) -> tuple[Sums, Messages]:
    sums: Sums = {}
    messages: Messages = {}
    for call in calls:
        key = (call.path, call.operation)
        bucket = int(call.time // BUCKET_S) * BUCKET_S
        width = round(math.log(max(call.ms, 0.01)) * BINS_PER_E)
        row = sums.setdefault(key, {}).setdefault((bucket, width), [0, 0])
        row[0] += 1
        if call.failed:
            row[1] += 1
            messages.setdefault(key, {}).setdefault(bucket, call.message)
    return sums, messages


def _write(database: sqlite3.Connection, sums: Sums, messages: Messages) -> None:
    texts = dict(database.execute("SELECT id, name FROM names"))
    edges: set[tuple[str, str]] = set()
    rows: list[tuple[int, int, int, int, int]] = []
    for number, ((path, operation), counts) in enumerate(sorted(sums.items()), start=1):
        services = [texts.get(service, "") for service in path]
        edges.update(pairwise(services))
        database.execute(
            "INSERT INTO paths VALUES (?, ?, ?)", (number, json.dumps(services), texts.get(operation, ""))
        )
        rows += [(bucket, number, width, row[0], row[1]) for (bucket, width), row in counts.items()]
        told = messages.get((path, operation), {}).items()
        database.executemany(
            "INSERT INTO failures VALUES (?, ?, ?)", [(bucket, number, message) for bucket, message in told]
        )
    packed = np.array(sorted(rows), dtype=np.int64).reshape(-1, len(REQUEST_COLUMNS))
    database.executemany(
        "INSERT INTO requests VALUES (?, ?)",
        [(name, packed[:, place].tobytes()) for place, name in enumerate(REQUEST_COLUMNS)],
    )
    database.executemany("INSERT INTO calls VALUES (?, ?)", sorted(edges))
