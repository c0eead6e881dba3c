"""ITBench's tables as the OpenTelemetry collector's exporter makes them, and rows for them.

An old server knows no Map, LowCardinality or DateTime64: there they are String, String and DateTime, and an attribute
map is the text that a current server shows for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOGS, TRACES = "otel_demo_logs", "otel_demo_traces"
CREATE = (
    f"""CREATE TABLE {LOGS} (
        Timestamp DateTime64(9), TimestampTime DateTime DEFAULT toDateTime(Timestamp), TraceId String, SpanId String,
        TraceFlags UInt8, SeverityText LowCardinality(String), SeverityNumber UInt8,
        ServiceName LowCardinality(String), Body String, ResourceSchemaUrl LowCardinality(String),
        ResourceAttributes Map(LowCardinality(String), String), ScopeSchemaUrl LowCardinality(String),
        ScopeName String, ScopeVersion LowCardinality(String),
        ScopeAttributes Map(LowCardinality(String), String), LogAttributes Map(LowCardinality(String), String)
    ) ENGINE = MergeTree PARTITION BY toDate(TimestampTime)
    ORDER BY (ServiceName, TimestampTime, Timestamp)""",
    f"""CREATE TABLE {TRACES} (
        Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
        SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
        ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
        SpanAttributes Map(LowCardinality(String), String), Duration UInt64, StatusCode LowCardinality(String),
        StatusMessage String,
        Events Nested (Timestamp DateTime64(9), Name LowCardinality(String),
            Attributes Map(LowCardinality(String), String)),
        Links Nested (TraceId String, SpanId String, TraceState String,
            Attributes Map(LowCardinality(String), String))
    ) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))""",
)
OLD = (
    ("Map(LowCardinality(String), String)", "String"),
    ("LowCardinality(String)", "String"),
    ("DateTime64(9)", "DateTime"),
)


def statements(old: bool) -> list[str]:
    """What creates the tables."""
    return [for_old(one) if old else one for one in CREATE]


def for_old(statement: str) -> str:
    """With the types that an old server knows."""
    for new, other in OLD:
        statement = statement.replace(new, other)
    return statement


def inserted(table: str, columns: Mapping[str, Any], old: bool) -> str:
    """The statement for one row: a mapping is an attribute map, `Timestamp` seconds since the epoch."""
    values = [
        when(value, old)
        if name == "Timestamp"
        else attributes(value, old)
        if isinstance(value, dict)
        else quoted(value)
        for name, value in columns.items()
    ]
    # A SELECT, not VALUES: servers differ in which expressions they take there.
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)}"


def when(seconds: float, old: bool) -> str:
    """A time, exact to nanoseconds where the type is."""
    nanoseconds = round(seconds * 1e6) * 1000
    return f"toDateTime({int(seconds)})" if old else f"fromUnixTimestamp64Nano(toInt64({nanoseconds}))"


def attributes(values: Mapping[str, str], old: bool) -> str:
    """A Map, or its text."""
    written = ",".join(f"{quoted(key)}:{quoted(value)}" for key, value in values.items())
    pairs = ", ".join(f"{quoted(key)}, {quoted(value)}" for key, value in values.items())
    return quoted(f"{{{written}}}") if old else f"map({pairs})" if pairs else "map()"


def quoted(value: object) -> str:
    """A literal: a number, or a text with what the server's literals escape."""
    if not isinstance(value, str):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"
