"""What all controllers share: how they are woken and how they reach the world.

Owns: the `Controller` base class and helpers for owner references and conditions. A controller is level
triggered: `observe` says which objects a change concerns, `reconcile` looks at one object as it is now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from harness.cluster import Manifest
from harness.environments.simulated.clock import Key, iso
from harness.environments.simulated.store import Change, asks_the_same

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore
    from harness.environments.simulated.world import World


class Controller:
    """One control loop."""

    name: ClassVar[str]
    watches: ClassVar[tuple[str, ...]]
    """Kinds whose changes `observe` wants to see; `*` for all."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store: ObjectStore = world.store
        """The objects."""

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.world.clock.now

    def observe(self, change: Change) -> None:
        """Enqueue whatever the change concerns."""
        self.enqueue(change.key)

    def reconcile(self, key: Key) -> None:
        """Bring one object closer to what it asks for."""
        raise NotImplementedError

    def enqueue(self, key: Key) -> None:
        """Reconcile an object at the present time."""
        self.world.enqueue(self.name, key)

    def wake(self, key: Key, at: float) -> None:
        """Reconcile an object at a later time."""
        self.world.queue.push(at, self.name, key)

    def record(self, about: Manifest, reason: str, message: str, warning: bool = False) -> None:
        """Write an Event."""
        self.store.record(about, reason, message, self.name, warning)


def key_of(manifest: Manifest) -> Key:
    """(namespace, name) of an object."""
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def controller_of(manifest: Manifest, kind: str) -> str:
    """The name of the object of that kind that controls this one; empty when there is none."""
    for reference in manifest["metadata"].get("ownerReferences", ()):
        if reference["kind"] == kind and reference.get("controller"):
            return str(reference["name"])
    return ""


def owner_reference(owner: Manifest) -> Manifest:
    """A reference that makes `owner` the controller of an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(manifest: Manifest, type_: str) -> Manifest:
    """A condition from an object's status, not to be changed; empty when it has none of that type."""
    for entry in manifest.get("status", {}).get("conditions", ()):
        if entry["type"] == type_:
            found: Manifest = entry
            return found
    return {}


def is_true(manifest: Manifest, type_: str) -> bool:
    """Whether a condition of the object is `True`."""
    return condition(manifest, type_).get("status") == "True"


def make_condition(
    old: Manifest, type_: str, status: bool, now: float, reason: str = "", message: str = ""
) -> Manifest:
    """A condition whose transition time moves only when its status does. `old` is the object as it was."""
    before = condition(old, type_)
    entry: Manifest = {"type": type_, "status": "True" if status else "False"}
    same = before.get("status") == entry["status"]
    entry["lastTransitionTime"] = before["lastTransitionTime"] if same else iso(now)
    if reason:
        entry["reason"] = reason
    if message:
        entry["message"] = message
    return entry


def is_active(pod: Manifest) -> bool:
    """Whether a pod counts as a replica: neither finished nor being deleted."""
    finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not finished and "deletionTimestamp" not in pod["metadata"]


def is_status_alone(change: Change) -> bool:
    """Whether an object changed in nothing that anybody asked for."""
    return change.old is not None and change.new is not None and asks_the_same(change.old, change.new)


def concerns_others(change: Change) -> bool:
    """Whether a pod's change matters beyond its kubelet: not each step of a container does."""
    if change.old is None or change.new is None:
        return True
    return _outside(change.old) != _outside(change.new)


def had_left(change: Change) -> bool:
    """Whether a pod went that was no replica any more, so that whoever counts replicas has missed it already."""
    return change.new is None and change.old is not None and not is_active(change.old)


def _outside(pod: Manifest) -> tuple[object, ...]:
    metadata, status = pod["metadata"], pod.get("status", {})
    ready = next((entry["status"] for entry in status.get("conditions", ()) if entry["type"] == "Ready"), "")
    deleted, owners = metadata.get("deletionTimestamp"), metadata.get("ownerReferences")
    return ready, status.get("podIP"), status.get("phase"), deleted, owners, metadata.get("labels")


def counts(**fields: int) -> Manifest:
    """Status counters without the zeros, which the API server leaves out."""
    return {name: value for name, value in fields.items() if value}
