"""Creating pods from templates, and choosing which to remove: shared by the controllers that own pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.cluster import Manifest
from harness.environments.simulated.admission import admit
from harness.environments.simulated.clock import epoch, suffix
from harness.environments.simulated.controllers.base import condition, is_true, owner_reference
from harness.environments.simulated.defaults import with_requests

if TYPE_CHECKING:
    from harness.environments.simulated.world import World


def create_pod(
    world: World,
    owner: Manifest,
    name: str = "",
    labels: Manifest | None = None,
    spec_fields: Manifest | None = None,
) -> Manifest:
    """Create a pod from the owner's template; without a name it gets a generated one. Raises Forbidden."""
    template, owner_metadata = owner["spec"]["template"], owner["metadata"]
    described = template.get("metadata") or {}
    base = f"{owner_metadata['name']}-"
    metadata: Manifest = {
        "name": name or base + suffix(world.seed, "pod", owner_metadata["uid"], world.next_serial(base)),
        "namespace": owner_metadata["namespace"],
        "labels": {**(described.get("labels") or {}), **(labels or {})}
        if labels
        else described.get("labels") or {},
        "ownerReferences": [owner_reference(owner)],
    }
    if not name:
        metadata["generateName"] = base
    if described.get("annotations"):
        metadata["annotations"] = described["annotations"]
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": _with_requests({**template["spec"], **spec_fields} if spec_fields else template["spec"]),
        "status": {"phase": "Pending"},
    }
    admit(pod, world.store)
    return world.store.put(pod)


def removal_rank(pod: Manifest) -> tuple[Any, ...]:
    """Sorts pods so that those to give up come first: unscheduled, pending, not ready, restarted, young."""
    status = pod.get("status", {})
    restarts = sum(container["restartCount"] for container in status.get("containerStatuses", ()))
    return (
        bool(pod["spec"].get("nodeName")),
        status.get("phase") == "Running",
        is_true(pod, "Ready"),
        -restarts,
        -epoch(pod["metadata"]["creationTimestamp"]),
    )


def available_at(pod: Manifest, min_ready_seconds: float) -> float | None:
    """When a ready pod counts as available; None while it is not ready."""
    ready = condition(pod, "Ready")
    if ready.get("status") != "True" or "deletionTimestamp" in pod["metadata"]:
        return None
    return epoch(ready["lastTransitionTime"]) + min_ready_seconds


def _with_requests(spec: Manifest) -> Manifest:
    """A pod spec whose missing requests are set to the limits; the same object when none is missing."""
    containers = [with_requests(container) for container in spec["containers"]]
    missing = any(new is not old for new, old in zip(containers, spec["containers"], strict=True))
    return {**spec, "containers": containers} if missing else spec
