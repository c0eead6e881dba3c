"""The tool that reads collected logs: `log_analysis`. (`kubectl_logs` reads a container.)

Owns: selection of records and their two forms, patterns and rows. Does not own: the template miner.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from harness.telemetry import LogRecord
from harness.tools.base import Json, ToolContext, Window, timestamp, tool
from harness.tools.objects import parse_id
from harness.tools.tables import Limit, envelope
from harness.tools.templates import EXAMPLE_CHARACTERS, Pattern, mine

READ = 500
"""Newest records that one call looks at."""
URGENCY = {"FATAL": 0, "ERROR": 0, "WARN": 1}


class LogAnalysisArgs(Window):
    k8_object: str = Field(default="", description="object id")
    service_name: str = ""
    severity_filter: str = Field(default="", description="e.g. ERROR")
    body_contains: str = ""
    pattern_analysis: bool = Field(default=True, description="false: single records, newest first")
    max_patterns: int = Field(default=50, ge=1, le=500)
    similarity_threshold: float = Field(default=0.5, gt=0, le=1)
    limit: Limit = 100
    offset: int = Field(default=0, ge=0)


@tool(
    "Collected logs of a service or pod (or of all) as patterns with counts, or as records.",
    LogAnalysisArgs,
    seconds=3.0,
    narrow="name a service, a severity or a time window",
)
def log_analysis(context: ToolContext, args: LogAnalysisArgs) -> Json:
    """What the services wrote."""
    service, pod = args.service_name, ""
    if args.k8_object:
        wanted = parse_id(args.k8_object)
        pod = wanted.name if wanted.kind == "Pod" or wanted.service != wanted.name else ""
        service = service or ("" if pod else wanted.service)
    severity = args.severity_filter.upper().replace("WARNING", "WARN")
    records = context.telemetry.logs(
        service, pod, args.start_time, args.end_time, args.body_contains, READ, severity
    )
    if args.pattern_analysis:
        return _patterns(records, args)
    return envelope([_row(record) for record in reversed(records)], args.limit, args.offset)


def _patterns(records: Sequence[LogRecord], args: LogAnalysisArgs) -> Json:
    found = mine(records, args.similarity_threshold)
    found.sort(key=lambda pattern: (URGENCY.get(pattern.severity, 2), -pattern.count, pattern.template))
    return {
        "total_count": len(records),
        "pattern_count": len(found),
        "patterns": [_pattern_row(pattern) for pattern in found[: args.max_patterns]],
    }


def _pattern_row(pattern: Pattern) -> Json:
    return {
        "template": pattern.template,
        "count": pattern.count,
        "severity": pattern.severity,
        "services": list(pattern.services)[:10],
        "first_seen": timestamp(pattern.first.time),
        "last_seen": timestamp(pattern.last.time),
        "example": pattern.last.body[:EXAMPLE_CHARACTERS],
    }


def _row(record: LogRecord) -> Json:
    return {
        "timestamp": timestamp(record.time),
        "service": record.service,
        "pod": record.pod,
        "severity": record.severity,
        "body": record.body[:EXAMPLE_CHARACTERS],
    }
