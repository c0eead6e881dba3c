"""The tool that gathers all about one object: `get_context_contract`.

Owns: what belongs on which page. Does not own: the parts, which are those of the other tools.
"""

from __future__ import annotations

from pydantic import Field

from harness.tools.alerts import alert_row, sightings
from harness.tools.base import Json, ToolContext, Window, tool
from harness.tools.events import event_rows
from harness.tools.metrics import anomalies
from harness.tools.objects import LONG_LIVED, ObjectId, candidates, find, not_found, parse_id, redacted
from harness.tools.specs import SpecChangeArgs, history_of, spec_changes
from harness.tools.topology import walk
from harness.tools.traces import TraceErrorTreeArgs, get_trace_error_tree

EVENTS_SHOWN = 20
DEPENDENCY_HOPS = 1


class ContextContractArgs(Window):
    k8_object: str = Field(description="object id")
    page: int = Field(default=1, ge=0, description="1: the object; 2..: its dependencies; 0: all")
    deps_per_page: int = Field(default=3, ge=1, le=20)


@tool(
    "All evidence on one object: alerts, events, traces, metrics, spec, changes, dependencies.",
    ContextContractArgs,
    seconds=4.0,
    narrow="use the single tools for one kind of evidence",
)
def get_context_contract(context: ToolContext, args: ContextContractArgs) -> Json:
    """The evidence on one object, and then on what it depends on."""
    wanted = parse_id(args.k8_object)
    calls = context.telemetry.topology().calls
    needs = [row["service"] for row in walk(calls, wanted.service, DEPENDENCY_HOPS, callers=False)]
    pages = 1 + -(-len(needs) // args.deps_per_page)
    result: Json = {"entity": args.k8_object, "page": args.page, "total_pages": pages}
    if args.page in (0, 1):
        result |= _own_evidence(context, args, wanted) | {"dependencies": needs}
    if args.page == 0:
        result["dependency_evidence"] = {name: _evidence(context, args, name) for name in needs}
    elif args.page > 1:
        start = (args.page - 2) * args.deps_per_page
        shown = needs[start : start + args.deps_per_page]
        result["dependencies"] = {name: _evidence(context, args, name) for name in shown}
    return result


def _own_evidence(context: ToolContext, args: ContextContractArgs, wanted: ObjectId) -> Json:
    found = find(context, wanted)
    if not found and wanted.service not in context.telemetry.topology().services:
        raise not_found(context, wanted, args.k8_object)
    service, seen = wanted.service, sightings(context, args)
    traces = get_trace_error_tree(context, TraceErrorTreeArgs(service_name=service))
    return {
        "alerts": [alert_row(each) for each in seen if each.alert.entity in (service, wanted.name)],
        "events": event_rows(context, args, wanted.kind or "", wanted.name)[:EVENTS_SHOWN],
        "trace_errors": traces["critical_paths"],
        "metric_anomalies": _anomalies(context, args, wanted),
        "spec_changes": _changes(context, args, wanted),
        "spec": redacted(found[0]) if found else {},
    }


def _anomalies(context: ToolContext, args: ContextContractArgs, wanted: ObjectId) -> list[Json]:
    target = wanted.name if context.telemetry.metric_names(wanted.name) else wanted.service
    series = context.telemetry.metrics(target, (), args.start_time, args.end_time)
    rows = [anomalies(one, raw=False) for one in series if one.points]
    return [row for row in rows if row["anomaly_count"]]


def _changes(context: ToolContext, args: ContextContractArgs, wanted: ObjectId) -> list[Json]:
    window = SpecChangeArgs(start_time=args.start_time, end_time=args.end_time)
    histories = [h for each in candidates(context, wanted) if (h := history_of(context, each))]
    return spec_changes(histories, window, named=False)


def _evidence(context: ToolContext, args: ContextContractArgs, service: str) -> Json:
    """Events and spec changes of a dependency."""
    changes: list[Json] = []
    for kind in LONG_LIVED[:4]:
        changes += _changes(context, args, ObjectId(None, kind, service))
    return {"events": event_rows(context, args, "", service)[:EVENTS_SHOWN], "spec_changes": changes}
