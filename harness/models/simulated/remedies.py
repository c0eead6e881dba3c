"""Which calls remove a recognised cause: generic Kubernetes repairs.

Owns: cause -> ordered calls. Does not own: when to act (`policy`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.models.simulated.beliefs import Beliefs, workload_name
from harness.models.simulated.readings import Cause, flag_of

Wanted = tuple[str, dict[str, Any]]
"""A call that is wanted: tool and arguments."""

_PORT_INDEX = re.compile(r"ports\[(?:port=)?(\w[\w-]*)\]")
_SERVER_OWNED = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "deletionTimestamp",
)


def remedies(beliefs: Beliefs) -> list[Wanted]:
    """The calls that remove all recognised causes, in order."""
    by_entity: dict[str, list[Cause]] = {}
    for cause in beliefs.causes:
        by_entity.setdefault(cause.entity, []).append(cause)
    return [wanted for entity, causes in by_entity.items() for wanted in _repair(entity, causes, beliefs)]


def restart(entity: str, beliefs: Beliefs) -> list[Wanted]:
    """What is tried when the cause is not known: restart what suffers."""
    return [("rollout_restart", {"name": workload_name(entity), "namespace": beliefs.namespace})]


def _repair(entity: str, causes: Sequence[Cause], beliefs: Beliefs) -> Iterator[Wanted]:
    namespace, kind, name = entity.split("/", 2)
    cause = causes[0]
    if cause.mechanism.startswith("missing"):
        if cause.manifest:
            yield "apply_manifest", {"manifest": _recreatable(cause.manifest)}
    elif cause.mechanism == "feature flag":
        yield from _switch_off(causes, namespace)
    elif kind == "Deployment":
        yield "rollout_undo", {"name": name, "namespace": namespace}
    elif kind == "Service":
        patch = _service_patch(causes, entity, beliefs)
        if patch:
            yield (
                "patch_object",
                {"kind": kind, "name": name, "namespace": namespace, "patch": {"spec": patch}},
            )


def _switch_off(causes: Sequence[Cause], namespace: str) -> Iterator[Wanted]:
    """Flags are read by flagd at its start, and cached by the services at theirs."""
    for cause in causes:
        if flag_of(cause):
            variant = cause.old if isinstance(cause.old, str) else "off"
            yield "set_feature_flag", {"namespace": namespace, "flag": flag_of(cause), "variant": variant}
    yield "rollout_restart", {"name": "flagd", "namespace": namespace}
    yield "wait", {"seconds": 60}
    yield "rollout_restart", {"namespace": namespace}


def _service_patch(causes: Sequence[Cause], entity: str, beliefs: Beliefs) -> dict[str, Any]:
    cause = causes[0]
    if cause.mechanism == "selector":
        return {
            "selector": {change.path.split("selector", 1)[1].strip(".[]'\""): change.old for change in causes}
        }
    ports = _ports_of(entity, beliefs)
    index = _PORT_INDEX.search(cause.path)
    for position, port in enumerate(ports):
        if index is None or index.group(1) in (str(position), port.get("name"), str(port.get("port"))):
            return {"ports": [{"port": port["port"], "targetPort": cause.old}]}
    return {}


def _ports_of(entity: str, beliefs: Beliefs) -> Sequence[Mapping[str, Any]]:
    """The ports as the newest reading of the Service shows them."""
    for call in reversed(beliefs.done("get_k8_spec")):
        if call.result and call.result.data and call.result.data.get("entity_id") == entity:
            ports: Sequence[Mapping[str, Any]] = call.result.data["spec"].get("spec", {}).get("ports", ())
            return ports
    return ()


def _recreatable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without what the API server writes itself."""
    spec = {
        key: value
        for key, value in manifest.get("spec", {}).items()
        if key not in ("clusterIP", "clusterIPs")
    }
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _SERVER_OWNED}
    kept = {key: value for key, value in manifest.items() if key != "status"}
    return (
        {**kept, "metadata": metadata, "spec": spec} if "spec" in manifest else {**kept, "metadata": metadata}
    )
