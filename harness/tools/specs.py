"""Tools that read recorded object versions: `k8s_spec_change_analysis`, `get_k8_spec`.

Owns: which objects are compared, their lifecycle, the official result shapes. Does not own: the diff itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from pydantic import Field

from harness.cluster import Forbidden, Manifest, NotFound, ObjectRef
from harness.telemetry import Observation
from harness.tools.base import Args, Json, ToolContext, Window, parse_time, timestamp, tool
from harness.tools.diff import as_rows, changes_between
from harness.tools.objects import (
    CLUSTER_SCOPED,
    LONG_LIVED,
    candidates,
    entity_id,
    not_found,
    parse_id,
    redacted,
    visible,
)
from harness.tools.tables import Limit, envelope

DEPLOYMENT_SECONDS = 120.0
"""Objects that appear later than this after the first one were created afterwards."""
SCANNED = (*LONG_LIVED, "Node")


class History(NamedTuple):
    """What was recorded of one object."""

    ref: ObjectRef
    observations: Sequence[Observation]
    present: bool

    @property
    def latest(self) -> Manifest:
        """The last version that was seen with content."""
        return next((o.manifest for o in reversed(self.observations) if o.manifest), {})

    @property
    def created(self) -> float:
        """When the object came into being, as far as known."""
        stamp = self.latest.get("metadata", {}).get("creationTimestamp")
        first = self.observations[0].time if self.observations else 0.0
        return float(parse_time(stamp) or first)


class SpecChangeArgs(Window):
    k8_object_name: str = Field(default="", description="object id; empty: all long-lived objects")
    include_no_change: bool = False
    include_reference_spec: bool = Field(default=False, description="add the latest manifest")
    max_changes_per_diff: int = Field(default=50, ge=1, le=500)
    limit: Limit = 50
    offset: int = Field(default=0, ge=0)


@tool(
    "Changes of objects over time as field paths with old and new values; also created and removed objects.",
    SpecChangeArgs,
    narrow="name an object or a time window",
)
def k8s_spec_change_analysis(context: ToolContext, args: SpecChangeArgs) -> Json:
    """What changed, and when."""
    histories = _histories(context, args.k8_object_name)
    rows = spec_changes(histories, args, named=bool(args.k8_object_name))
    return envelope(rows, args.limit, args.offset)


class GetSpecArgs(Args):
    k8_object_name: str = Field(description="object id")
    return_all_observations: bool = False
    include_metadata: bool = True


@tool("The manifest of an object, also of a removed one.", GetSpecArgs, narrow="use kubectl_describe")
def get_k8_spec(context: ToolContext, args: GetSpecArgs) -> Json:
    """An object as it is, or as it was last seen."""
    histories = _histories(context, args.k8_object_name)
    form = parse_id(args.k8_object_name).format
    found = {str(history.ref): _spec(context, history, args, form) for history in histories}
    if len(found) == 1:
        return next(iter(found.values()))
    warning = f"{args.k8_object_name!r} names {len(found)} objects; use namespace/Kind/name"
    return {"warning": warning, "entity_count": len(found), "entities": found}


# --- which objects ----------------------------------------------------------------------------------


def _histories(context: ToolContext, name: str) -> list[History]:
    """Recorded objects that a name stands for, or all. Raises ToolError when a name stands for none."""
    if not name:
        return all_histories(context)
    wanted = parse_id(name)
    found = [history for each in candidates(context, wanted) if (history := history_of(context, each))]
    if not found:
        raise not_found(context, wanted, name)
    return found


def history_of(context: ToolContext, reference: ObjectRef) -> History | None:
    """What was recorded of an object; None when it never existed."""
    observations = context.telemetry.observations(*reference)
    try:
        present = context.cluster.get(*reference)
    except Forbidden:
        return None
    except NotFound:
        return History(reference, observations, False) if observations else None
    return History(reference, observations or [Observation(context.now, present)], True)


def all_histories(context: ToolContext) -> list[History]:
    """Every long-lived object of the application, and services and workloads that are gone."""
    present: dict[ObjectRef, Manifest] = {}
    for kind in SCANNED:
        for namespace in ("",) if kind in CLUSTER_SCOPED else context.namespaces:
            for manifest in visible(context, kind, namespace or None):
                present[ObjectRef(kind, manifest["metadata"]["name"], namespace)] = manifest
    found = [
        History(each, context.telemetry.observations(*each) or [Observation(context.now, manifest)], True)
        for each, manifest in present.items()
    ]
    names = dict.fromkeys([*context.telemetry.topology().services, *(each.name for each in present)])
    for namespace, kind, name in product(context.namespaces, ("Service", "Deployment"), names):
        if (kind, name, namespace) not in present and (
            observations := context.telemetry.observations(kind, name, namespace)
        ):
            found.append(History(ObjectRef(kind, name, namespace), observations, False))
    return found


# --- rows -------------------------------------------------------------------------------------------


def spec_changes(histories: Sequence[History], args: SpecChangeArgs, *, named: bool) -> list[Json]:
    """One row per object that changed, came or went; the latest change first."""
    began = min((history.created for history in histories), default=0.0)
    dated = []
    for history in histories:
        changes = _changes(history, args)
        late = history.created > began + DEPLOYMENT_SECONDS
        lifecycle = "removed" if not history.present else "created" if late else "present"
        moved = (lifecycle == "created" and args.contains(history.created)) or lifecycle == "removed"
        if not (changes or moved or args.include_no_change or named):
            continue
        row: Json = {
            "entity_id": str(history.ref),
            "kind": history.ref.kind,
            "namespace": history.ref.namespace,
            "name": history.ref.name,
            "lifecycle": lifecycle,
            "created": timestamp(history.created),
            "observation_count": len(history.observations),
            "change_count": len(changes),
            "changes": changes,
        }
        if args.include_reference_spec or lifecycle == "removed":
            row["reference_spec"] = redacted(history.latest) if history.latest else {}
        dated.append((_moved_at(history) if changes or moved else 0.0, row))
    return [row for _, row in sorted(dated, key=lambda pair: (-pair[0], pair[1]["entity_id"]))]


def _moved_at(history: History) -> float:
    """When the object changed last; a removal whose time nobody recorded comes first."""
    return history.observations[-1].time if history.present else math.inf


def _changes(history: History, args: SpecChangeArgs) -> list[Json]:
    """Differences between successive observations, oldest first."""
    found = []
    for before, after in zip(history.observations, history.observations[1:], strict=False):
        if not args.contains(after.time):
            continue
        rows = _difference(before.manifest, after.manifest, args.max_changes_per_diff)
        if rows:
            times = {"timestamp": timestamp(after.time), "from_timestamp": timestamp(before.time)}
            found.append({**times, "changes": rows})
    return found


def _difference(before: Manifest, after: Manifest, limit: int) -> list[Json]:
    """Changed fields; an empty manifest stands for an object that is not there."""
    if before and after:
        return as_rows(changes_between(before, after), limit)
    if before or after:
        return [{"path": "", "type": "added" if after else "removed"}]
    return []


def _spec(context: ToolContext, history: History, args: GetSpecArgs, form: str) -> Json:
    current = context.cluster.get(*history.ref) if history.present else history.latest
    result: Json = {
        "found": True,
        "identifier_format": form,
        "entity_id": entity_id(current) if current else str(history.ref),
        "kind": history.ref.kind,
        "namespace": history.ref.namespace,
        "name": history.ref.name,
        "lifecycle": "present" if history.present else "removed",
        "observation_count": len(history.observations),
        "timestamp": timestamp(context.now if history.present else history.observations[-1].time),
        "spec": _shown(current, args.include_metadata),
    }
    if args.return_all_observations:
        result["observations"] = [
            {"timestamp": timestamp(seen.time), "spec": _shown(seen.manifest, args.include_metadata)}
            for seen in history.observations
            if seen.manifest
        ]
    return result


def _shown(manifest: Manifest, metadata: bool) -> Json:
    if not manifest:
        return {}
    shown = redacted(manifest)
    return shown if metadata else {key: value for key, value in shown.items() if key != "metadata"}
