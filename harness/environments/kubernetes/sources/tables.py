"""Log records and call paths from the ClickHouse tables that an OpenTelemetry collector fills.

Owns: the queries. Does not own: how they are sent (`clickhouse.py`), what spans show (`harness/environments/otel`).

The queries keep to what servers from 18.16 on understand. Attributes are a Map, a type that came later; as a text
they look the same where a table has texts instead. Times travel as seconds since the epoch, so that the server's time
zone does not matter; the comparison with whole seconds is there for the partitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from harness.environments.kubernetes.sources import web
from harness.environments.kubernetes.sources.clickhouse import ClickHouse, text
from harness.environments.otel.paths import added_up
from harness.environments.otel.severity import LEVELS, SPELLINGS, UNSAID
from harness.environments.otel.spans import Call, Span, calls_of, is_outgoing, target_in
from harness.errors import Unanswered
from harness.telemetry import CallPath, LogRecord

BODY_BYTES = 16_384
"""Of a log record; the rest is cut."""
NEEDLE_CHARACTERS = 1000
"""Of a text that is looked for, the server sees so much; the rest is compared here."""
SPANS = 40_000
"""Spans of a window that are read, or somewhat more. Where there are more, a share of the traces is drawn and counts
for all."""
MARGIN_S = 30.0
"""Spans that far outside a window are read too: a call in it may belong to a trace that began before."""
ATTRIBUTE_BYTES, MESSAGE_BYTES = 4096, 500


def _attribute(column: str, name: str) -> str:
    """The expression for an attribute whose value needs no quoting; empty where there is none."""
    pattern = name.replace(".", "[.]")
    return f"extract(toString({column}), '[{{,]\\'{pattern}\\':\\'([^\\']*)\\'')"


def _either(one: str, other: str) -> str:
    """The expression for the first of two texts that is not empty."""
    return f"if({one} != '', {one}, {other})"


def _severity() -> str:
    """The expression that does what `harness/environments/otel/severity.py` does."""
    spellings, names = (", ".join(f"'{one}'" for one in each) for each in (SPELLINGS, SPELLINGS.values()))
    levels = ", ".join(f"SeverityNumber >= {lowest}, '{name}'" for lowest, name in LEVELS)
    word = "replaceRegexpOne(replaceRegexpAll(upper(toString(SeverityText)), '^\\\\s+|\\\\s+$', ''), '[0-9]+$', '')"
    return f"transform({word}, [{spellings}], [{names}], multiIf({levels}, '{UNSAID}'))"


SERVICE = _either("toString(ServiceName)", _attribute("ResourceAttributes", "service.name"))
POD = _either(_attribute("ResourceAttributes", "k8s.pod.name"), _attribute("LogAttributes", "k8s.pod.name"))
"""Container logs carry the pod in their own attributes."""
SEVERITY = _severity()
OUTGOING = "lower(toString(SpanKind)) IN ('client', 'producer', 'span_kind_client', 'span_kind_producer')"
SPAN_COLUMNS = (
    "TraceId, SpanId, ParentSpanId, toString(ServiceName), toString(SpanName), toString(SpanKind), "
    f"if({OUTGOING}, substring(toString(SpanAttributes), 1, {ATTRIBUTE_BYTES}), ''), "
    "toFloat64(Timestamp), toFloat64(Duration) / 1e6, toString(StatusCode), "
    f"substring(StatusMessage, 1, {MESSAGE_BYTES})"
)


class _SpanRow(NamedTuple):
    trace: str
    id: str
    parent: str
    service: str
    operation: str
    kind: str
    attributes: str
    time: float
    ms: float
    status: str
    message: str


class _Count(NamedTuple):
    rows: float


def recent(server: ClickHouse, table: str, since: float) -> int:
    """How many rows a table has from a time on. Raises InfrastructureError, also where there is no such table."""
    query = f"SELECT toFloat64(count()) FROM {table} WHERE Timestamp >= toDateTime({math.floor(since)})"
    return int(server.rows(query, _Count)[0].rows)


class LogTable:
    """Log records of one application."""

    def __init__(self, server: ClickHouse, table: str) -> None:
        """`table`: from the configuration, which takes names only."""
        self._server = server
        self._table = table

    def matching(
        self, service: str, pod: str, low: float, high: float, contains: str, limit: int, severity: str
    ) -> Sequence[LogRecord]:
        """The newest `limit` matching records, oldest first. Raises InfrastructureError."""
        conditions = [_within(low, high)]
        if service:
            conditions += [f"ServiceName IN ({text(service)}, '')", f"{SERVICE} = {text(service)}"]
        if pod:
            conditions.append(f"{POD} = {text(pod)}")
        if severity:
            conditions.append(f"{SEVERITY} = {text(severity)}")
        if contains:
            needle = text(contains[:NEEDLE_CHARACTERS])
            conditions.append(f"positionCaseInsensitiveUTF8(Body, {needle}) > 0")
        rows = self._server.rows(
            f"SELECT toFloat64(Timestamp), {SERVICE}, {POD}, {SEVERITY}, "
            f"substring(Body, 1, {BODY_BYTES}) FROM {self._table} WHERE {' AND '.join(conditions)} "
            f"ORDER BY Timestamp DESC LIMIT {max(0, limit)}",
            LogRecord,
        )
        rest = contains.lower() if len(contains) > NEEDLE_CHARACTERS else ""
        return [row for row in reversed(rows) if rest in row.body.lower()]


class SpanTable:
    """Spans of one application."""

    def __init__(self, server: ClickHouse, table: str) -> None:
        """`table`: from the configuration, which takes names only."""
        self._server = server
        self._table = table

    def call_paths(self, low: float, high: float) -> Sequence[CallPath]:
        """Calls of a window added up by path. Raises InfrastructureError.

        Where the traces that were drawn are longer than the average, those that come first, whole, count for all."""
        condition = _within(low - MARGIN_S, high + MARGIN_S)
        query = f"SELECT toFloat64(count()) FROM {self._table} WHERE {condition}"
        share = max(1, math.ceil(self._server.rows(query, _Count)[0].rows / SPANS))
        drawn = f" AND cityHash64(TraceId) % {share} = 0" if share > 1 else ""
        source, limit = f"FROM {self._table} WHERE {condition}{drawn}", 2 * SPANS
        rows = self._server.rows(f"SELECT {SPAN_COLUMNS} {source} ORDER BY TraceId LIMIT {limit}", _SpanRow)
        weight = float(share)
        if len(rows) >= limit:
            torn = rows[-1].trace
            rows = [row for row in rows if row.trace != torn]
            if not rows:
                web.refuse(self._server.who, f"one trace has more than {limit} spans", kind=Unanswered)
            traces = self._server.rows(f"SELECT toFloat64(uniqExact(TraceId)) {source}", _Count)[0].rows
            weight *= traces / len({row.trace for row in rows})
        return added_up(((call, weight) for call in _calls(rows)), low, high)


def _calls(rows: Sequence[_SpanRow]) -> Iterator[Call[str]]:
    for _, of_trace in groupby(rows, itemgetter(0)):
        yield from calls_of([_span(row) for row in of_trace])


def _span(row: _SpanRow) -> Span[str]:
    outgoing, failed = is_outgoing(row.kind), "error" in row.status.lower()
    return Span(
        trace=row.trace,
        id=row.id,
        parent=row.parent,
        service=row.service,
        operation=row.operation,
        outgoing=int(outgoing),
        target=target_in(row.attributes) if outgoing else "",
        time=row.time,
        ms=row.ms,
        failed=int(failed),
        message=row.message if failed else "",
    )


def _within(low: float, high: float) -> str:
    whole = f"Timestamp >= toDateTime({math.floor(low)}) AND Timestamp <= toDateTime({math.ceil(high)})"
    return f"{whole} AND toFloat64(Timestamp) BETWEEN {low:.6f} AND {high:.6f}"
