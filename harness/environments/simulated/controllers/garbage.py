"""Deletion: what goes at once, what goes gracefully, and what goes with its owner or namespace.

Owns: `delete_object` and the collection of dependents. Does not own: stopping containers (`kubelet.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.clock import Key, iso
from harness.environments.simulated.controllers.base import Controller
from harness.environments.simulated.store import Change

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore


def delete_object(store: ObjectStore, kind: str, key: Key) -> None:
    """Delete an object: at once, or by marking it as going away: namespaces, pods on a node, and whatever
    has finalizers."""
    namespace, name = key
    manifest = store.get(kind, name, namespace)
    if manifest is None or "deletionTimestamp" in manifest["metadata"]:
        return
    graceful = (
        kind == "Namespace"
        or (kind == "Pod" and manifest["spec"].get("nodeName"))
        or manifest["metadata"].get("finalizers")
    )
    if not graceful:
        store.remove(kind, name, namespace)
        return
    marked = {**manifest, "metadata": {**manifest["metadata"], "deletionTimestamp": iso(store.clock.now)}}
    if kind == "Namespace":
        marked["status"] = {"phase": "Terminating"}
    store.put(marked)


class GarbageCollector(Controller):
    """Deletes what lost its owner, and the contents of namespaces that go away."""

    name = "garbage-collector"
    watches = ("*",)

    def observe(self, change: Change) -> None:
        """Removals, namespaces, and what is written into a namespace that goes away."""
        if change.new is None and change.old is not None:
            for kind, key in self.store.dependents(change.old["metadata"]["uid"]):
                delete_object(self.store, kind, key)
        elif change.new is not None and _released(change.new):
            self.store.remove(change.kind, change.key[1], change.key[0])
        namespace = change.key[1] if change.kind == "Namespace" else change.key[0]
        found = self.store.get("Namespace", namespace)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            self.enqueue(("", namespace))

    def reconcile(self, key: Key) -> None:
        """Empty a namespace, then remove it."""
        contents = self.store.contents(key[1])
        for kind, inner in contents:
            delete_object(self.store, kind, inner)
        if not contents:
            self.store.remove("Namespace", key[1])


def _released(manifest: Manifest) -> bool:
    """Whether an object is going away and nobody's finalizer holds it any more."""
    if "deletionTimestamp" not in manifest["metadata"] or manifest["kind"] in ("Pod", "Namespace"):
        return False
    return not manifest["metadata"].get("finalizers")
