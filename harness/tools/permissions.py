"""What an agent may change.

Owns: the rule that every action asks before it writes, dry runs included. Does not own: the cluster's own
access control, which stands behind it on a real cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harness.cluster import ObjectRef
from harness.errors import ToolError

Verb = Literal["create", "patch", "delete"]

CLUSTER_SCOPED_VERBS: dict[str, tuple[Verb, ...]] = {
    "Node": ("patch",),
    "PriorityClass": ("create", "patch", "delete"),
}
"""The official agent's rights outside namespaces: nodes patch, priority classes."""
NEVER = frozenset(
    {
        "Event",
        "ReplicaSet",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
    }
)
"""Kinds that no remediation needs: records, what controllers own, access control itself."""


def check_write(verb: Verb, target: ObjectRef, namespaces: Sequence[str]) -> None:
    """Raise ToolError unless the agent may do this to the object."""
    if target.kind in NEVER:
        raise ToolError(f"forbidden: you may not {verb} objects of kind {target.kind}")
    if target.kind == "Namespace":
        allowed = verb == "patch" and target.name in namespaces
    elif not target.namespace:
        allowed = verb in CLUSTER_SCOPED_VERBS.get(target.kind, ())
    else:
        allowed = target.namespace in namespaces
    if not allowed:
        places = ", ".join(namespaces) or "none"
        raise ToolError(f"forbidden: you may not {verb} {target}; namespaces you may change: {places}")
