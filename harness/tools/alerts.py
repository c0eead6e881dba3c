"""Tools that read alerts: `alert_summary`, `alert_analysis`.

Owns: how present and past alerts become rows. Does not own: the rules that raise alerts.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.telemetry import Alert
from harness.tools.base import Json, ToolContext, Window, timestamp, tool
from harness.tools.tables import (
    FILTERS,
    GROUP_BY,
    SORT_BY,
    Filters,
    GroupBy,
    Limit,
    envelope,
    filtered,
    grouped,
    ordered,
)

STATES = {"firing": 0, "pending": 1, "inactive": 2}
SEVERITIES = {"critical": 0, "warning": 1, "info": 2}


class Sighting:
    """One alert as it was seen over a window."""

    __slots__ = ("alert", "first", "last", "occurrences", "state")

    def __init__(self, alert: Alert, first: float, last: float, state: str) -> None:
        self.alert = alert
        self.first = first
        self.last = last
        self.state = state
        self.occurrences = 0

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Firing before pending before past; critical first."""
        severity = SEVERITIES.get(self.alert.labels.get("severity", ""), 3)
        return (STATES[self.state], severity, self.alert.name, self.alert.entity)


def sightings(context: ToolContext, window: Window) -> list[Sighting]:
    """Alerts seen in the window, and those active now unless the window lies in the past."""
    seen: dict[tuple[str, str, str], Sighting] = {}
    for time, alert in context.telemetry.alert_history(window.start_time, window.end_time):
        key = _identity(alert)
        known = seen.get(key)
        if known is None:
            known = seen[key] = Sighting(alert, time, time, "inactive")
        known.alert, known.last = alert, time
        known.occurrences += 1
    if window.end_time is None or window.end_time >= context.now:
        for alert in context.telemetry.alerts():
            known = seen.setdefault(_identity(alert), Sighting(alert, context.now, context.now, alert.state))
            known.alert, known.state = alert, alert.state
            if alert.state == "firing" and known.last < context.now:
                known.last = context.now
            known.occurrences = max(known.occurrences, 1)
    return sorted(seen.values(), key=lambda sighting: sighting.order)


def _identity(alert: Alert) -> tuple[str, str, str]:
    return alert.name, alert.entity, alert.labels.get("severity", "")


class AlertSummaryArgs(Window):
    state_filter: Literal["", "firing", "pending", "inactive"] = Field(
        "", description="inactive: fired earlier"
    )
    min_duration_min: float = Field(default=0, ge=0)
    time_basis: Literal["snapshot", "activeAt"] = Field(
        default="snapshot", description="what durations count from"
    )
    limit: Limit = 50


@tool(
    "Alerts per name, entity and severity, with current state and duration.",
    AlertSummaryArgs,
    narrow="use state_filter or min_duration_min",
)
def alert_summary(context: ToolContext, args: AlertSummaryArgs) -> Json:
    """Who is alerting, since when, and whether it still does."""
    rows = []
    for sighting in sightings(context, args):
        since = sighting.alert.active_at if args.time_basis == "activeAt" else sighting.first
        minutes = max(0.0, sighting.last - since) / 60
        if args.state_filter not in ("", sighting.state) or minutes < args.min_duration_min:
            continue
        rows.append(
            {
                "alertname": sighting.alert.name,
                "entity": sighting.alert.entity,
                "namespace": sighting.alert.labels.get("namespace", ""),
                "severity": sighting.alert.labels.get("severity", ""),
                "state": sighting.state,
                "first_seen": timestamp(since),
                "last_seen": timestamp(sighting.last),
                "duration_min": round(minutes, 1),
                "occurrences": sighting.occurrences,
                "description": sighting.alert.description,
            }
        )
    return {"as_of": timestamp(context.now), **envelope(rows, args.limit)}


class AlertAnalysisArgs(Window):
    filters: Filters = FILTERS
    group_by: GroupBy = GROUP_BY
    agg: Literal["count", "first", "last", "sum", "mean", "max", "min"] = "count"
    sort_by: str = SORT_BY
    limit: Limit = 50
    offset: int = Field(default=0, ge=0)


@tool("Alert rows with all labels; filter, group and aggregate them.", AlertAnalysisArgs)
def alert_analysis(context: ToolContext, args: AlertAnalysisArgs) -> Json:
    """Every alert of the window as a row."""
    rows = filtered([alert_row(sighting) for sighting in sightings(context, args)], args.filters)
    if args.group_by:
        rows = grouped(rows, args.group_by, args.agg)
    return envelope(ordered(rows, args.sort_by), args.limit, args.offset)


def alert_row(sighting: Sighting) -> Json:
    """One alert with its labels."""
    alert, labels = sighting.alert, sighting.alert.labels
    return {
        "alertname": alert.name,
        "severity": labels.get("severity", ""),
        "service_name": labels.get("service_name", ""),
        "namespace": labels.get("namespace", ""),
        "entity": alert.entity,
        "state": sighting.state,
        "active_at": timestamp(alert.active_at),
        "last_seen": timestamp(sighting.last),
        "duration_active_min": round(max(0.0, sighting.last - alert.active_at) / 60, 1),
        "value": round(alert.value, 4),
        "labels": dict(labels),
        "description": alert.description,
    }
