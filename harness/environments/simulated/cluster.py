"""SimulatedCluster: the Cluster protocol on top of a world, as an API server would answer.

Owns: requests - reading, writing, patching, deleting, logs - with their checks and error messages. Does not
own: what follows from a write (controllers).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.cluster import Invalid, LogLine, Manifest, NotFound, PatchType
from harness.environments.simulated.admission import admit
from harness.environments.simulated.clock import digest
from harness.environments.simulated.controllers.base import key_of
from harness.environments.simulated.controllers.containers import ContainerRun
from harness.environments.simulated.controllers.garbage import delete_object
from harness.environments.simulated.defaults import set_defaults
from harness.environments.simulated.fields import prune
from harness.environments.simulated.kinds import kind_of
from harness.environments.simulated.shape import check_shape
from harness.environments.simulated.store import Manifests, copy_tree, intern_tree
from harness.environments.simulated.validation import validate
from harness.patches import merge_patch, strategic_merge

if TYPE_CHECKING:
    from harness.environments.simulated.world import World

SERVER_FIELDS = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
"""Metadata that the server alone writes; values in a request are ignored."""


class SimulatedCluster:
    """The Cluster protocol. Every write is followed by the controllers' reaction at the same instant."""

    def __init__(self, world: World) -> None:
        self._world = world

    # --- reading

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """One object, as a copy."""
        copy: Manifest = copy_tree(self._stored(kind, name, namespace))
        return copy

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Manifests:
        """The objects of a kind, by namespace and name (Events by time). Shared: not to be changed."""
        kind_of(kind)
        store = self._world.store
        if kind == "Event":
            return sorted(store.list(kind, namespace, labels), key=lambda event: str(event["lastTimestamp"]))
        return store.list_by_name(kind, namespace, labels)

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """What a container wrote. Raises NotFound, and Invalid while it has not started."""
        manifest = self._stored("Pod", pod, namespace)
        name = container or manifest["spec"]["containers"][0]["name"]
        spec = manifest["spec"]
        known = [entry["name"] for entry in [*spec["containers"], *(spec.get("initContainers") or ())]]
        if name not in known:
            raise Invalid(f"container {name} is not valid for pod {pod}")
        run = self._world.kubelet.run_of(manifest, name)
        if run is None:
            raise Invalid(f'container "{name}" in pod "{pod}" is waiting to start: no host assigned')
        own = self._own_lines(run, pod, previous)
        world = self._world
        written = world.runtime.container_logs(manifest, name, world.store, world.now, tail, previous)
        return sorted([*own, *written], key=lambda line: line.time)[-tail:] if tail > 0 else []

    def now(self) -> float:
        """Seconds since the epoch on the virtual clock."""
        return self._world.now

    # --- writing

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._world.advance(seconds)

    def apply(self, manifest: Manifest) -> Manifest:
        """Create or replace. Status and server-written metadata in the request are ignored."""
        return self._settled(self.write(manifest))

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """Merge into an object; fields that its kind does not have are dropped without notice."""
        if not isinstance(patch, dict):
            raise Invalid(f"the patch must be an object, found {type(patch).__name__}")
        if strategy not in ("strategic", "merge"):
            raise Invalid(f'unknown patch type "{strategy}": expected "strategic" or "merge"')
        before = self._stored(kind, name, namespace)
        merge = strategic_merge if strategy == "strategic" else merge_patch
        merged = merge(before, patch)
        for field in ("kind", "apiVersion"):
            if merged.get(field) != before[field]:
                raise Invalid(f"the {field} of an object cannot be changed from {before[field]}")
        self._check_identity(merged, before["metadata"])
        return self._settled(self._replace(intern_tree(merged), before))

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete; pods and namespaces take a moment to go."""
        stored = self._stored(kind, name, namespace)
        delete_object(self._world.store, kind, key_of(stored))
        self._world.settle()

    def write(self, manifest: Manifest) -> Manifest:
        """Create or replace without letting the controllers act. For the world's own use."""
        kind, metadata = manifest.get("kind"), manifest.get("metadata")
        if not isinstance(kind, str) or not isinstance(metadata, dict) or not metadata.get("name"):
            raise Invalid("the manifest needs apiVersion, kind and metadata.name")
        known = kind_of(kind)
        if manifest.get("apiVersion", known.api_version) != known.api_version:
            version = manifest["apiVersion"]
            raise NotFound(
                f'no matches for kind "{kind}" in version "{version}": expected {known.api_version}'
            )
        fresh = intern_tree(manifest)
        fresh["apiVersion"] = known.api_version
        if known.namespaced:
            fresh["metadata"].setdefault("namespace", "default")
        else:
            fresh["metadata"].pop("namespace", None)
        before = self._world.store.get(kind, metadata["name"], fresh["metadata"].get("namespace", ""))
        return self._replace(fresh, before)

    # --- inside

    def _stored(self, kind: str, name: str, namespace: str) -> Manifest:
        known = kind_of(kind)
        if kind == "Event":
            found = next(
                (e for e in self._world.store.list(kind, namespace) if e["metadata"]["name"] == name), None
            )
        else:
            found = self._world.store.get(kind, name, namespace if known.namespaced else "")
        if found is None:
            raise NotFound(f'{known.resource} "{name}" not found')
        return found

    def _settled(self, written: Manifest) -> Manifest:
        """What became of a written object; as it was written when it went away, its last finalizer removed."""
        self._world.settle()
        namespace, name = key_of(written)
        current = self._world.store.get(written["kind"], name, namespace)
        copy: Manifest = copy_tree(written if current is None else current)
        return copy

    def _check_identity(self, merged: Manifest, before: Manifest) -> None:
        metadata = merged.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("name") != before["name"]:
            raise Invalid("metadata.name: the name of the object does not match the name on the URL")
        if metadata.get("namespace") != before.get("namespace"):
            raise Invalid(
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    def _replace(self, fresh: Manifest, before: Manifest | None) -> Manifest:
        """Check and store `fresh`, a private copy."""
        check_shape(fresh)
        _fold_string_data(fresh)
        if before is None:
            admit(fresh, self._world.store)
        _inherit(fresh, before)
        prune(fresh)
        set_defaults(fresh)
        if fresh["kind"] == "Service":
            self._assign_address(fresh, before)
        validate(fresh, before)
        return self._world.store.put(fresh)

    def _assign_address(self, service: Manifest, before: Manifest | None) -> None:
        spec, metadata = service["spec"], service["metadata"]
        if before is not None and "clusterIP" not in spec and spec["type"] != "ExternalName":
            spec["clusterIP"] = before["spec"].get("clusterIP")
        elif before is None and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
            low, high = digest(self._world.seed, "service", metadata["namespace"], metadata["name"])[:2]
            spec["clusterIP"] = f"10.96.{low}.{high or 1}"

    def _own_lines(self, run: ContainerRun, pod: str, previous: bool) -> Sequence[LogLine]:
        if previous:
            crashed = run.step in ("exited", "back_off") and run.crashes > 1
            lines = run.logs if crashed else run.previous_logs
            if lines is None:
                raise Invalid(f'previous terminated container "{run.name}" in pod "{pod}" not found')
            return lines
        if run.process is None:
            waits = run.state.get("waiting", {}).get("reason", "ContainerCreating")
            why = (
                "trying and failing to pull image" if waits in ("ErrImagePull", "ImagePullBackOff") else waits
            )
            raise Invalid(f'container "{run.name}" in pod "{pod}" is waiting to start: {why}')
        return run.logs


def _inherit(fresh: Manifest, before: Manifest | None) -> None:
    """Take over from the stored object what a request cannot change."""
    metadata = fresh["metadata"]
    for field in SERVER_FIELDS:
        metadata.pop(field, None)
    for field in [field for field, value in metadata.items() if value is None]:
        del metadata[field]
    if before is None:
        if fresh["kind"] == "Namespace":
            fresh["status"] = {"phase": "Active"}
        elif fresh["kind"] == "Pod":
            fresh["status"] = {"phase": "Pending"}
        elif fresh["kind"] != "Node":
            fresh.pop("status", None)
        return
    kept = before["metadata"]
    metadata.update({field: kept[field] for field in SERVER_FIELDS if field in kept})
    fresh.pop("status", None)
    if "status" in before:
        fresh["status"] = before["status"]


def _fold_string_data(manifest: Manifest) -> None:
    """`stringData` of a Secret becomes base64 `data`, as the API server does."""
    texts: Any = manifest.pop("stringData", None) if manifest["kind"] == "Secret" else None
    if isinstance(texts, dict):
        encoded = {name: b64encode(str(text).encode()).decode() for name, text in texts.items()}
        manifest["data"] = {**(manifest.get("data") or {}), **encoded}
