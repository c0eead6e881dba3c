"""Claims on storage: a claim is bound to a volume of its own as soon as its storage class exists.

Owns: binding, and why a pod has to wait for its claims. Does not own: access modes, capacity, reclaiming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import Controller, key_of
from harness.environments.simulated.store import Change

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


class VolumeController(Controller):
    """Provisions a volume for each claim."""

    name = "persistentvolume-controller"
    watches = ("PersistentVolumeClaim", "StorageClass")

    def observe(self, change: Change) -> None:
        """A claim, or all claims when a storage class comes or goes."""
        if change.kind == "StorageClass":
            for claim in self.store.list("PersistentVolumeClaim"):
                self.enqueue(key_of(claim))
        elif change.new is None and change.old is not None:
            self.store.remove("PersistentVolume", change.old["spec"].get("volumeName", ""))
        else:
            self.enqueue(change.key)

    def reconcile(self, key: Key) -> None:
        """Bind one claim, or say why not."""
        claim = self.store.get("PersistentVolumeClaim", key[1], key[0])
        if claim is None or is_bound(claim):
            return
        storage = claim["spec"].get("storageClassName", "")
        if self.store.get("StorageClass", storage) is None:
            self.store.put_status(claim, {"phase": "Pending"})
            message = f'storageclass.storage.k8s.io "{storage}" not found'
            self.record(claim, "ProvisioningFailed", message, warning=True)
            return
        volume = f"pvc-{claim['metadata']['uid']}"
        self.store.put(_volume(volume, claim))
        bound = {**claim, "spec": {**claim["spec"], "volumeName": volume}, "status": {"phase": "Bound"}}
        self.store.put(bound)
        self.record(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {volume}")


def is_bound(claim: Manifest) -> bool:
    """Whether a claim has its volume."""
    return bool(claim.get("status", {}).get("phase") == "Bound")


def waits_for_claim(pod: Manifest, store: ObjectStore) -> str:
    """Why the claims of a pod keep it from being scheduled; empty when they do not."""
    for volume in pod["spec"].get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if name:
            claim = store.get("PersistentVolumeClaim", name, pod["metadata"]["namespace"])
            if claim is None or "deletionTimestamp" in claim["metadata"]:
                return f'persistentvolumeclaim "{name}" not found'
            if not is_bound(claim):
                return UNBOUND
    return ""


def _volume(name: str, claim: Manifest) -> Manifest:
    metadata, spec = claim["metadata"], claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": spec.get("accessModes", []),
            "capacity": (spec.get("resources") or {}).get("requests", {}),
            "claimRef": {"kind": claim["kind"], "name": metadata["name"], "namespace": metadata["namespace"]},
            "storageClassName": spec.get("storageClassName", ""),
        },
        "status": {"phase": "Bound"},
    }
