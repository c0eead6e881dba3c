"""Tools that read metrics: `metric_analysis`, `get_metric_anomalies`.

Owns: choice of series, summaries, `eval` expressions, the anomaly rule. Does not own: where points come from.
"""

from __future__ import annotations

import ast
import fnmatch
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field

from harness.errors import ToolError
from harness.telemetry import Series
from harness.tools.base import Json, Names, ToolContext, Window, timestamp, tool
from harness.tools.objects import near_names, parse_id, workload_name
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

ANOMALIES_SHOWN = 20
BROAD = 8
"""More objects than this are only asked for named metrics."""
SIGMAS = 2.0
"""A value is anomalous above mean + SIGMAS standard deviations of its own series."""
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b if b else math.nan,
}


class Measured(NamedTuple):
    """A series and the object that it was asked for."""

    target: str
    series: Series


class MetricAnalysisArgs(Window):
    k8_object_name: str = Field(default="", description="object id of a service or pod")
    object_pattern: str = Field(default="", description="or a glob over names of services and pods")
    metric_names: Names = Field(default_factory=list, description="empty: all")
    eval: str = Field(default="", description="arithmetic over metric names, e.g. errors / calls")
    filters: Filters = FILTERS
    group_by: GroupBy = GROUP_BY
    agg: Literal["mean", "sum", "max", "min", "count", "first", "last"] = "mean"
    verbosity: Literal["compact", "raw"] = Field(default="compact", description="raw: single points")
    sort_by: str = SORT_BY
    limit: Limit = 200


@tool(
    "Metrics of services or pods: one summary per series, points, or aggregates.",
    MetricAnalysisArgs,
    seconds=3.0,
    narrow="name fewer metrics or objects, or aggregate with group_by",
)
def metric_analysis(context: ToolContext, args: MetricAnalysisArgs) -> Json:
    """How a service or pod is doing over time."""
    if not (args.k8_object_name or args.object_pattern or args.metric_names):
        raise ToolError("name an object (k8_object_name or object_pattern) or metric_names")
    names = _names_in(args.eval) if args.eval else args.metric_names
    measured = _measure(context, args, names)
    if args.eval:
        measured = _evaluated(measured, args.eval)
    if args.verbosity == "compact" and not args.group_by:
        rows = [_summary(item) for item in measured]
        return envelope(ordered(filtered(rows, args.filters), args.sort_by), args.limit)
    rows = filtered([row for item in measured for row in _points(item)], args.filters)
    if args.group_by:
        rows = _aggregated(rows, args)
    return envelope(ordered(rows, args.sort_by), args.limit)


class MetricAnomaliesArgs(Window):
    k8_object_name: str = Field(description="object id of a service or pod")
    metric_name_filter: str = Field(default="", description="part of a metric name")
    raw_content: bool = Field(default=True, description="list the anomalous points")


@tool(
    "Points of each series of an object above mean + 2 standard deviations.",
    MetricAnomaliesArgs,
    seconds=3.0,
    narrow="use metric_name_filter or raw_content=false",
)
def get_metric_anomalies(context: ToolContext, args: MetricAnomaliesArgs) -> Json:
    """Where an object's metrics leave their usual range."""
    target = _targets(context, args.k8_object_name, "")[0]
    names = [name for name in context.telemetry.metric_names(target) if args.metric_name_filter in name]
    series = context.telemetry.metrics(target, names, args.start_time, args.end_time) if names else ()
    metrics = [anomalies(one, args.raw_content) for one in series if one.points]
    metrics.sort(key=lambda row: (-row["anomaly_count"], row["metric_name"]))
    return {"object": target, "metrics": metrics}


def anomalies(series: Series, raw: bool) -> Json:
    """One series with its points above mean + SIGMAS standard deviations."""
    values = [value for _, value in series.points]
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    threshold = mean + SIGMAS * deviation
    high = [(time, value) for time, value in series.points if value > threshold]
    row: Json = {
        "metric_name": series.metric,
        "labels": dict(series.labels),
        "count": len(values),
        "mean": _rounded(mean),
        "std": _rounded(deviation),
        "last": _rounded(values[-1]),
        "anomaly_count": len(high),
    }
    if raw:
        recent = high[-ANOMALIES_SHOWN:]
        row["anomalies"] = [{"timestamp": timestamp(t), "value": _rounded(value)} for t, value in recent]
    return row


# --- which series -----------------------------------------------------------------------------------


def _measure(context: ToolContext, args: MetricAnalysisArgs, names: Sequence[str]) -> list[Measured]:
    measured: list[Measured] = []
    known: set[str] = set()
    targets = _targets(context, args.k8_object_name, args.object_pattern)
    _check_breadth(targets, names)
    for target in targets:
        available = context.telemetry.metric_names(target)
        known.update(available)
        wanted = [name for name in names if name in available] if names else list(available)
        if wanted:
            found = context.telemetry.metrics(target, wanted, args.start_time, args.end_time)
            measured.extend(Measured(target, series) for series in found if series.points)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ToolError(f"unknown metric {', '.join(unknown)}; known: {', '.join(sorted(known)) or 'none'}")
    return measured


def _targets(context: ToolContext, object_name: str, pattern: str) -> list[str]:
    """Services and pods that are meant. Raises ToolError when none has metrics."""
    if object_name:
        wanted = parse_id(object_name)
        for name in (wanted.name, workload_name(wanted.name)):
            if context.telemetry.metric_names(name):
                return [name]
        hint = near_names(wanted.service, _all_targets(context, pods=True))
        raise ToolError(f"no metrics for {object_name}{hint}")
    everything = _all_targets(context, pods=bool(pattern))
    found = [name for name in everything if fnmatch.fnmatchcase(name, pattern or "*")]
    if not found:
        raise ToolError(f"nothing matches {pattern!r}{near_names(pattern.strip('*'), everything)}")
    return found


def _check_breadth(targets: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a question whose answer nobody could read."""
    if not names and len(targets) > BROAD:
        raise ToolError(f"{len(targets)} objects match; give metric_names, or a pattern for at most {BROAD}")


def _all_targets(context: ToolContext, pods: bool) -> list[str]:
    names = list(context.telemetry.topology().services)
    if pods:
        for namespace in context.namespaces:
            names += [pod["metadata"]["name"] for pod in context.cluster.list("Pod", namespace)]
    return names


# --- forms ------------------------------------------------------------------------------------------


def _summary(item: Measured) -> Json:
    points = item.series.points
    values = [value for _, value in points]
    return {
        "object": item.target,
        "metric": item.series.metric,
        "labels": dict(item.series.labels),
        "count": len(values),
        "first": _rounded(values[0]),
        "last": _rounded(values[-1]),
        "mean": _rounded(math.fsum(values) / len(values)),
        "min": _rounded(min(values)),
        "max": _rounded(max(values)),
        "start": timestamp(points[0][0]),
        "end": timestamp(points[-1][0]),
    }


def _points(item: Measured) -> list[Json]:
    common = {
        "object": item.target,
        "deployment": workload_name(item.target),
        "metric": item.series.metric,
        "labels": dict(item.series.labels),
    }
    return [{"timestamp": timestamp(t), **common, "value": _rounded(v)} for t, v in item.series.points]


def _aggregated(rows: list[Json], args: MetricAnalysisArgs) -> list[Json]:
    """One value per group; metrics are never mixed, so the metric is always among the columns."""
    columns = args.group_by if "metric" in args.group_by else [*args.group_by, "metric"]
    if args.agg == "count":
        return grouped(rows, columns, "count")
    kept = [*columns, "value"]
    return [{key: row[key] for key in kept if key in row} for row in grouped(rows, columns, args.agg)]


def _rounded(value: float) -> float | None:
    """Six significant digits; None for what JSON cannot say."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


# --- eval -------------------------------------------------------------------------------------------


def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(expression.replace(":", "_"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolError(f"eval: cannot read {expression!r}; expected e.g. errors / calls") from None


def _names_in(expression: str) -> list[str]:
    return sorted({node.id for node in ast.walk(_parsed(expression)) if isinstance(node, ast.Name)})


def _evaluated(measured: Sequence[Measured], expression: str) -> list[Measured]:
    """One computed series per object, at the times that all its metrics share (series are summed by name)."""
    tree = _parsed(expression)
    result = []
    for target in dict.fromkeys(item.target for item in measured):
        columns: dict[str, dict[float, float]] = {}
        for item in measured:
            if item.target == target:
                column = columns.setdefault(item.series.metric, {})
                for time, value in item.series.points:
                    column[time] = column.get(time, 0.0) + value
        times = sorted(set.intersection(*(set(column) for column in columns.values())))
        points = [
            (time, _value(tree, {name: column[time] for name, column in columns.items()})) for time in times
        ]
        result.append(Measured(target, Series(expression, {}, points)))
    return result


def _value(node: ast.AST, values: dict[str, Any]) -> float:
    match node:
        case ast.BinOp(left, kind, right) if type(kind) in OPERATORS:
            return OPERATORS[type(kind)](_value(left, values), _value(right, values))
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand, values)
        case ast.Name(name) if name in values:
            return float(values[name])
        case ast.Constant(int() | float() as number):
            return float(number)
    raise ToolError("eval: only metric names of the object, numbers, + - * / and brackets are allowed")
