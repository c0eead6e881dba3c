"""Tools that change the cluster: the typed remediation actions. (`flags.py` has the feature flag.)

Owns: what each action asks of the cluster and the record of what it changed. Does not own: who may do it
(`permissions.py`), dry runs (`dryrun.py`), the multi-step operations themselves (`harness/cluster.py`).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness import cluster as operations
from harness.cluster import Cluster, Manifest, NotFound, ObjectRef, ref, revision_of
from harness.errors import ToolError
from harness.tools.base import Args, Json, ObjectChange, ToolContext, tool
from harness.tools.diff import REDACTED, as_rows, changes_between
from harness.tools.dryrun import DryRun
from harness.tools.kubectl import fetch
from harness.tools.objects import CLUSTER_SCOPED, entity_id, kind_of, namespace_for, owners
from harness.tools.permissions import Verb, check_write

DRY_RUN: Any = Field(default=False, description="only show what would change")


def parse_object(value: Any) -> Any:
    """A JSON object, also when a model wrote it as text. Raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"expected a JSON object, found text that is no JSON: {error}") from None


JsonObject = Annotated[
    dict[str, Any], BeforeValidator(parse_object), WithJsonSchema({"type": "object"}), Field(min_length=1)
]


class PatchArgs(Args):
    kind: str
    name: str
    namespace: str = Field(description="empty for a Node")
    patch: JsonObject = Field(description="null removes a key; strategic merges lists by name")
    patch_type: Literal["strategic", "merge"] = "strategic"
    dry_run: bool = DRY_RUN


@tool("Patch an object, as kubectl patch.", PatchArgs, mutating=True)
def patch_object(context: ToolContext, args: PatchArgs) -> Json:
    """Merge a patch into an object."""
    target = _permitted(context, args.kind, args.name, args.namespace, "patch")
    _refuse_redacted(args.patch)
    before = fetch(context, *target)
    after = _writer(context, args.dry_run).patch(*target, args.patch, args.patch_type)
    return outcome(context, before, after, "patched", args.dry_run)


class ApplyArgs(Args):
    manifest: JsonObject = Field(description="the complete object with metadata.namespace")
    dry_run: bool = DRY_RUN


@tool("Create an object, or replace the one of that name.", ApplyArgs, mutating=True)
def apply_manifest(context: ToolContext, args: ApplyArgs) -> Json:
    """Create or replace an object from its whole manifest."""
    manifest = _checked(args.manifest)
    target = ref(manifest)
    try:
        before: Manifest | None = context.cluster.get(*target)
    except NotFound:
        before = None
    check_write("patch" if before else "create", target, context.namespaces)
    after = _writer(context, args.dry_run).apply(manifest)
    done = "created" if before is None else "configured" if changes_between(before, after) else "unchanged"
    return outcome(context, before, after, done, args.dry_run)


class DeleteArgs(Args):
    kind: str
    name: str
    namespace: str
    dry_run: bool = DRY_RUN


@tool("Delete an object and what it owns.", DeleteArgs, mutating=True)
def delete_object(context: ToolContext, args: DeleteArgs) -> Json:
    """Delete an object."""
    target = _permitted(context, args.kind, args.name, args.namespace, "delete")
    before = fetch(context, *target)
    also = {"also_deletes": _owned_by(context, before)} if args.dry_run else {}
    _writer(context, args.dry_run).delete(*target)
    return {**outcome(context, before, None, "deleted", args.dry_run), **also}


class ScaleArgs(Args):
    name: str
    namespace: str
    replicas: int = Field(ge=0, le=50)
    kind: str = "Deployment"


@tool("Set the number of replicas.", ScaleArgs, mutating=True)
def scale_workload(context: ToolContext, args: ScaleArgs) -> Json:
    """`kubectl scale`."""
    target = _permitted(context, args.kind, args.name, args.namespace, "patch")
    if target.kind not in ("Deployment", "StatefulSet"):
        raise ToolError(f"kind: expected Deployment or StatefulSet, found {target.kind}")
    before = fetch(context, *target)
    after = operations.scale(
        context.cluster, target.kind, target.name, target.namespace, replicas=args.replicas
    )
    return outcome(context, before, after, "scaled", dry_run=False)


class UndoArgs(Args):
    name: str = Field(description="Deployment")
    namespace: str
    to_revision: int = Field(default=0, ge=0, description="0: the previous one")
    dry_run: bool = DRY_RUN


@tool("Put a Deployment's pod template back to an earlier revision.", UndoArgs, mutating=True)
def rollout_undo(context: ToolContext, args: UndoArgs) -> Json:
    """`kubectl rollout undo`."""
    target = _permitted(context, "Deployment", args.name, args.namespace, "patch")
    before = fetch(context, *target)
    writer = _writer(context, args.dry_run)
    after = operations.rollout_undo(writer, args.name, args.namespace, args.to_revision)
    result = outcome(context, before, after, "rolled back", args.dry_run)
    return {**result, "from_revision": revision_of(before)}


class RestartArgs(Args):
    namespace: str
    name: str = Field(default="", description="Deployment; empty: every Deployment of the namespace")
    dry_run: bool = DRY_RUN


@tool("Replace the pods of a Deployment, or of all, by a rolling update.", RestartArgs, mutating=True)
def rollout_restart(context: ToolContext, args: RestartArgs) -> Json:
    """`kubectl rollout restart deployment`."""
    _permitted(context, "Deployment", args.name, args.namespace, "patch")
    if args.name:
        before = [fetch(context, "Deployment", args.name, args.namespace)]
    else:
        before = list(context.cluster.list("Deployment", args.namespace))
    if not before:
        raise ToolError(f"not found: no Deployment in namespace {args.namespace}")
    writer = _writer(context, args.dry_run)
    for old in before:
        new = operations.rollout_restart(writer, "Deployment", old["metadata"]["name"], args.namespace)
        if not args.dry_run:
            record(context, old, new)
    return {
        "message": f"{len(before)} deployment(s) restarted{_suffix(args.dry_run)}",
        "objects": [entity_id(old) for old in before],
        "dry_run": args.dry_run,
    }


# --- shared with flags.py ---------------------------------------------------------------------------


def outcome(
    context: ToolContext, before: Manifest | None, after: Manifest | None, done: str, dry_run: bool
) -> Json:
    """Record an executed change and say what it did."""
    changes = changes_between(before, after)
    if not dry_run:
        record(context, before, after)
    shown = ref(after or before or {})
    return {
        "message": f"{shown.kind.lower()}/{shown.name} {done}{_suffix(dry_run)}",
        "object": str(shown),
        "dry_run": dry_run,
        "changed": bool(changes) or before is None or after is None,
        "changes": as_rows(changes),
    }


def record(context: ToolContext, before: Manifest | None, after: Manifest | None) -> None:
    """Add an executed change to the audit, unless nothing changed."""
    fields = changes_between(before, after)
    if fields or before is None or after is None:
        context.changes.append(ObjectChange(ref(after or before or {}), before, after, fields))


def _suffix(dry_run: bool) -> str:
    return " (dry run)" if dry_run else ""


def _writer(context: ToolContext, dry_run: bool) -> Cluster:
    return DryRun(context.cluster) if dry_run else context.cluster


def _permitted(context: ToolContext, kind: str, name: str, namespace: str, verb: Verb) -> ObjectRef:
    """The object that is meant, if the agent may change it. Raises ToolError."""
    resolved = kind_of(kind)
    target = ObjectRef(resolved, name, namespace_for(resolved, namespace))
    if not target.namespace and resolved not in CLUSTER_SCOPED:
        raise ToolError(f"namespace: required for {resolved}")
    check_write(verb, target, context.namespaces)
    return target


def _checked(manifest: Manifest) -> Manifest:
    """A manifest that names its object. Raises ToolError with everything that is missing."""
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    missing = [key for key in ("apiVersion", "kind") if not isinstance(manifest.get(key), str)]
    if not metadata.get("name"):
        missing.append("metadata.name")
    if not metadata.get("namespace") and manifest.get("kind") not in CLUSTER_SCOPED:
        missing.append("metadata.namespace")
    if missing:
        raise ToolError(f"manifest: missing {', '.join(missing)}")
    _refuse_redacted(manifest)
    return manifest


def _refuse_redacted(content: Manifest) -> None:
    """Keep a copied placeholder from overwriting a Secret. Raises ToolError."""
    for part in ("data", "stringData"):
        values = content.get(part)
        if isinstance(values, dict) and REDACTED in values.values():
            raise ToolError(f"{part}: {REDACTED} is a placeholder; leave out the keys that you keep")


def _owned_by(context: ToolContext, manifest: Manifest) -> list[str]:
    """What goes when the object goes: its ReplicaSets and pods."""
    namespace = manifest["metadata"].get("namespace", "")
    gone, found = {f"{manifest['kind']}/{manifest['metadata']['name']}"}, []
    for kind in ("ReplicaSet", "Pod"):
        for candidate in context.cluster.list(kind, namespace) if namespace else ():
            if gone.intersection(owners(candidate)):
                gone.add(f"{kind}/{candidate['metadata']['name']}")
                found.append(entity_id(candidate))
    return found
