"""The tool that reads Kubernetes events: `event_analysis`.

Owns: how Event objects become rows. Does not own: which events a cluster writes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.cluster import Manifest
from harness.tools.base import Json, ToolContext, Window, parse_time, timestamp, tool
from harness.tools.objects import workload_name
from harness.tools.tables import (
    FILTERS,
    SORT_BY,
    Filters,
    GroupBy,
    Limit,
    envelope,
    filtered,
    grouped,
    ordered,
)


class EventAnalysisArgs(Window):
    filters: Filters = FILTERS
    group_by: GroupBy = Field(default_factory=list, description="columns; `deployment` works too")
    agg: Literal["count", "first", "last", "nunique", "list"] = "count"
    sort_by: str = SORT_BY
    limit: Limit = 50
    offset: int = Field(default=0, ge=0)


@tool(
    "Kubernetes events, newest first; filter, group and aggregate them. Columns: object_kind, object_name, "
    "namespace, deployment, reason, message, event_kind, count.",
    EventAnalysisArgs,
)
def event_analysis(context: ToolContext, args: EventAnalysisArgs) -> Json:
    """Events of the application's namespaces and of the nodes."""
    rows = filtered(event_rows(context, args), args.filters)
    if args.group_by:
        rows = grouped(rows, args.group_by, args.agg)
    return envelope(ordered(rows, args.sort_by), args.limit, args.offset)


def event_rows(context: ToolContext, window: Window, kind: str = "", name: str = "") -> list[Json]:
    """Events as rows, newest first; of one object, or of a workload and what it owns, when named."""
    dated = []
    for event in context.cluster.list("Event"):
        target = event.get("involvedObject") or event.get("regarding") or {}
        if not _concerns(context, target, kind, name):
            continue
        last = _last_time(event)
        if window.contains(last):
            dated.append((last, _row(event, target, last)))
    dated.sort(key=lambda pair: -pair[0])
    return [row for _, row in dated]


def _concerns(context: ToolContext, target: Json, kind: str, name: str) -> bool:
    if target.get("kind") != "Node" and target.get("namespace", "") not in context.namespaces:
        return False
    if not name:
        return True
    owner = target.get("name", "")
    exact = owner == name and (not kind or target.get("kind") == kind)
    return exact or (kind in ("", "Deployment", "Service") and workload_name(owner) == name)


def _last_time(event: Manifest) -> float:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return float(parse_time(stamp) or 0.0)


def _row(event: Manifest, target: Json, last: float) -> Json:
    namespaced = target.get("kind") in ("Pod", "ReplicaSet", "Deployment")
    return {
        "last_timestamp": timestamp(last),
        "first_timestamp": timestamp(parse_time(event.get("firstTimestamp")) or last),
        "event_kind": event.get("type", "Normal"),
        "reason": event.get("reason", ""),
        "object_kind": target.get("kind", ""),
        "object_name": target.get("name", ""),
        "namespace": target.get("namespace", ""),
        "deployment": workload_name(target.get("name", "")) if namespaced else "",
        "message": event.get("message") or event.get("note", ""),
        "count": event.get("count", 1),
    }
