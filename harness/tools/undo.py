"""Putting objects back to what they were before an executed change.

Owns: the reversal of an audit record through the Cluster protocol. Does not own: who asks for it (guards,
through the session). A restart changes nothing that could be put back and is left alone.
"""

from __future__ import annotations

from copy import deepcopy

from harness.cluster import RESTARTED_AT, Cluster, Manifest, NotFound, exists
from harness.tools.base import AuditRecord, ObjectChange

SERVER_OWNED = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "deletionTimestamp",
    "ownerReferences",
)


def undo_change(cluster: Cluster, record: AuditRecord) -> list[str]:
    """Reverse a change; the objects put back, newest first. Raises ClusterError."""
    return [str(change.ref) for change in reversed(record.changes) if _put_back(cluster, change)]


def _put_back(cluster: Cluster, change: ObjectChange) -> bool:
    kind, name, namespace = change.ref
    if change.before is None:
        if not exists(cluster, change.ref):
            return False
        cluster.delete(kind, name, namespace)
        return True
    if change.after is not None and all(RESTARTED_AT in field.path for field in change.fields):
        return False
    try:
        current = cluster.get(kind, name, namespace)
    except NotFound:
        cluster.apply(_as_new(change.before))
        return True
    cluster.apply(_with_content_of(current, change.before))
    return True


def _with_content_of(current: Manifest, before: Manifest) -> Manifest:
    """The object as the server has it now, with everything that users write as it was."""
    kept = {key: current[key] for key in ("apiVersion", "kind", "status") if key in current}
    content = {key: value for key, value in before.items() if key not in ("metadata", "status")}
    metadata = dict(current["metadata"])
    for part in ("labels", "annotations"):
        metadata.pop(part, None)
        if part in before["metadata"]:
            metadata[part] = before["metadata"][part]
    return deepcopy({**kept, **content, "metadata": metadata})


def _as_new(before: Manifest) -> Manifest:
    metadata = {key: value for key, value in before["metadata"].items() if key not in SERVER_OWNED}
    return deepcopy({**{k: v for k, v in before.items() if k != "status"}, "metadata": metadata})
