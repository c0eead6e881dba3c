"""Tools that read the cluster as kubectl does: get, describe, logs, rollout history.

Owns: these four reads. Does not own: columns (`columns.py`), writes (`actions.py`).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from harness.cluster import Manifest, NotFound, owned_replica_sets, revision_of
from harness.errors import ToolError
from harness.tools.base import Args, Json, ToolContext, Window, timestamp, tool
from harness.tools.columns import row_of
from harness.tools.diff import as_rows, changes_between
from harness.tools.events import event_rows
from harness.tools.objects import (
    ObjectId,
    entity_id,
    kind_of,
    namespace_for,
    not_found,
    owners,
    pod_status,
    redacted,
)

EVENTS_SHOWN = 10


class GetArgs(Args):
    kind: str = Field(description="e.g. Pod, deploy, svc")
    namespace: str = Field(default="", description="empty for cluster-scoped kinds")
    name: str = Field(default="", description="with a name: the whole object")
    label_selector: str = Field(default="", description="a=b,c=d")


@tool("Objects of a kind as rows, or one whole object.", GetArgs, seconds=1.0, narrow="use label_selector")
def kubectl_get(context: ToolContext, args: GetArgs) -> Json:
    """`kubectl get`."""
    kind = kind_of(args.kind)
    namespace = namespace_for(kind, args.namespace)
    if args.name:
        shown = redacted(fetch(context, kind, args.name, namespace))
        return {"kind": kind, "namespace": namespace, "name": args.name, "object": shown}
    found = context.cluster.list(kind, namespace or None, _labels(args.label_selector))
    rows = [row_of(each, context.now) for each in found]
    if not namespace:
        spaces = [each["metadata"].get("namespace", "") for each in found]
        rows = [{"namespace": s, **row} if s else row for s, row in zip(spaces, rows, strict=True)]
    return {"kind": kind, "namespace": namespace, "total_count": len(rows), "data": rows}


class DescribeArgs(Args):
    kind: str
    name: str
    namespace: str = ""


@tool("One object in detail: spec, conditions, container states, recent events.", DescribeArgs, seconds=1.0)
def kubectl_describe(context: ToolContext, args: DescribeArgs) -> Json:
    """`kubectl describe`."""
    kind = kind_of(args.kind)
    manifest = fetch(context, kind, args.name, namespace_for(kind, args.namespace))
    shown, status = redacted(manifest), manifest.get("status", {})
    metadata = shown["metadata"]
    result: Json = {
        "id": entity_id(manifest),
        "created": metadata.get("creationTimestamp", ""),
        "labels": metadata.get("labels", {}),
        "annotations": metadata.get("annotations", {}),
        "owners": owners(manifest),
        **{part: shown[part] for part in ("data", "subsets", "type") if part in shown},
        "spec": _spec_summary(manifest),
        "status": _status_summary(manifest),
        "conditions": [_condition(each) for each in status.get("conditions") or []],
    }
    pod_spec = _pod_spec(manifest)
    if pod_spec:
        result["containers"] = _containers(pod_spec, status, "containers", "containerStatuses")
        result["init_containers"] = _containers(pod_spec, status, "initContainers", "initContainerStatuses")
    events = event_rows(context, Window(), kind, args.name)
    result["events"] = events[:EVENTS_SHOWN]
    return result


class LogsArgs(Args):
    pod: str
    namespace: str
    container: str = ""
    previous: bool = Field(default=False, description="of the container's last run")
    tail: int = Field(default=50, ge=1, le=1000)


@tool("The last lines that a container wrote.", LogsArgs, narrow="use a smaller tail")
def kubectl_logs(context: ToolContext, args: LogsArgs) -> Json:
    """`kubectl logs`."""
    name = args.pod.rsplit("/", 1)[-1]
    container = args.container or _first_container(fetch(context, "Pod", name, args.namespace))
    lines = context.cluster.logs(name, args.namespace, container, args.previous, args.tail)
    return {
        "pod": name,
        "namespace": args.namespace,
        "container": container,
        "previous": args.previous,
        "lines": [f"{timestamp(line.time)} {line.text}" for line in lines],
    }


class RolloutHistoryArgs(Args):
    name: str = Field(description="Deployment")
    namespace: str


@tool("Revisions of a Deployment and what each changed in the pod template.", RolloutHistoryArgs, seconds=1.0)
def kubectl_rollout_history(context: ToolContext, args: RolloutHistoryArgs) -> Json:
    """`kubectl rollout history`, with the differences that kubectl does not show."""
    deployment = fetch(context, "Deployment", args.name, args.namespace)
    revisions, previous = [], None
    for owned in sorted(owned_replica_sets(context.cluster, deployment), key=revision_of):
        template = _template(owned)
        containers = template["spec"]["template"].get("spec", {}).get("containers", [])
        revisions.append(
            {
                "revision": revision_of(owned),
                "replica_set": owned["metadata"]["name"],
                "created": owned["metadata"].get("creationTimestamp", ""),
                "replicas": owned["spec"].get("replicas", 0),
                "images": {each["name"]: each.get("image", "") for each in containers},
                "changes": as_rows(changes_between(previous, template)),
            }
        )
        previous = template
    return {
        "deployment": entity_id(deployment),
        "current_revision": revision_of(deployment),
        "revisions": revisions,
    }


def fetch(context: ToolContext, kind: str, name: str, namespace: str) -> Manifest:
    """One object. Raises ToolError with similar names when it does not exist."""
    try:
        return context.cluster.get(kind, name, namespace)
    except NotFound:
        wanted = ObjectId(namespace, kind, name)
        raise not_found(context, wanted, f"{namespace or 'cluster'}/{kind}/{name}") from None


# --- parts of a description -------------------------------------------------------------------------


def _labels(selector: str) -> dict[str, str]:
    """An equality selector. Raises ToolError for any other form."""
    labels = {}
    for part in filter(None, (piece.strip() for piece in selector.split(","))):
        key, equals, value = part.replace("==", "=").partition("=")
        if not equals or key.endswith("!"):
            raise ToolError(f"label_selector: expected key=value pairs, found {part!r}")
        labels[key.strip()] = value.strip()
    return labels


def _pod_spec(manifest: Manifest) -> Json:
    spec = manifest.get("spec") or {}
    found: Json = spec if manifest["kind"] == "Pod" else spec.get("template", {}).get("spec") or {}
    return found


def _spec_summary(manifest: Manifest) -> Json:
    """The spec without the containers, which are described on their own."""
    spec = {key: value for key, value in (manifest.get("spec") or {}).items() if key != "template"}
    pod_spec = _pod_spec(manifest)
    rest = {key: value for key, value in pod_spec.items() if key not in ("containers", "initContainers")}
    if manifest["kind"] == "Pod":
        return rest
    return {**spec, "pod": rest} if pod_spec else spec


def _status_summary(manifest: Manifest) -> Json:
    """Plain figures of the status; the status word of a pod."""
    status = manifest.get("status") or {}
    plain = {key: value for key, value in status.items() if isinstance(value, (str, int, dict))}
    return {"status": pod_status(manifest), **plain} if manifest["kind"] == "Pod" else plain


def _condition(condition: Json) -> Json:
    return {
        "type": condition.get("type", ""),
        "status": condition.get("status", ""),
        "reason": condition.get("reason", ""),
        "message": condition.get("message", ""),
        "last_transition": condition.get("lastTransitionTime", ""),
    }


CONTAINER_FIELDS = ("name", "image", "command", "args", "ports", "env", "resources", "volumeMounts")
STATE_FIELDS = (
    ("state", "state"),
    ("last_state", "lastState"),
    ("ready", "ready"),
    ("restarts", "restartCount"),
)


def _containers(pod_spec: Json, status: Json, part: str, statuses: str) -> list[Json]:
    states = {each["name"]: each for each in status.get(statuses) or []}
    return [_container(each, states.get(each["name"], {})) for each in pod_spec.get(part) or []]


def _container(container: Json, state: Json) -> Json:
    shown: dict[str, Any] = {key: container[key] for key in CONTAINER_FIELDS if key in container}
    for name, key in (("readiness_probe", "readinessProbe"), ("liveness_probe", "livenessProbe")):
        if key in container:
            shown[name] = container[key]
    return shown | {name: state[key] for name, key in STATE_FIELDS if key in state}


def _first_container(pod: Manifest) -> str:
    containers = pod["spec"].get("containers") or [{"name": ""}]
    return str(containers[0]["name"])


def _template(replica_set: Manifest) -> Manifest:
    """A ReplicaSet's pod template alone, without the hash that names the revision."""
    template = dict(replica_set["spec"].get("template", {}))
    metadata = dict(template.get("metadata", {}))
    labels = {k: v for k, v in metadata.get("labels", {}).items() if k != "pod-template-hash"}
    template["metadata"] = {**metadata, "labels": labels}
    return {"spec": {"template": template}}
