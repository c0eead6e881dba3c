"""The Cluster protocol over a recorded snapshot: every read, no write.

Owns: answers in the API server's words. Does not own: the index. Time stands still: the present of a snapshot is the
end of its recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.cluster import Forbidden, Invalid, LogLine, Manifest, NotFound, PatchType
from harness.environments.snapshot.index import Index

Manifests = list[Manifest]
READ_ONLY = "the cluster is a recording: nothing in it can be changed"


class SnapshotCluster:
    """Objects as they were last recorded."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """One object. Raises NotFound."""
        found: Manifest | None
        if kind == "Event":
            found = next((e for e in self.list(kind, namespace) if e["metadata"]["name"] == name), None)
        else:
            found = self._index.manifest(kind, name, namespace)
        if found is None:
            raise NotFound(f'{kind.lower()} "{name}" not found')
        return found

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Manifests:
        """The objects of a kind. Shared: not to be changed."""
        found = self._index.manifests(kind)
        if namespace is not None:
            found = [item for item in found if item["metadata"].get("namespace", "") == namespace]
        if labels:
            wanted = labels.items()
            found = [item for item in found if wanted <= (item["metadata"].get("labels") or {}).items()]
        return [*found]

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """The last recorded lines of a pod. Raises NotFound, and Invalid for an earlier run: a recording does not
        tell the runs of a container apart."""
        manifest = self.get("Pod", pod, namespace)
        known = [
            one["name"] for part in ("containers", "initContainers") for one in manifest["spec"].get(part, ())
        ]
        if container and container not in known:
            raise Invalid(f"container {container} is not valid for pod {pod}")
        if previous:
            raise Invalid(f'previous terminated container "{container or known[0]}" in pod "{pod}" not found')
        wanted = {"pod": pod}
        if container in self._index.name_numbers and len(known) > 1:
            wanted["container"] = container
        records = self._index.logs(wanted, 0, self.now(), "", tail)
        return [LogLine(record.time, f"{record.severity} {record.body}") for record in records]

    def now(self) -> float:
        """When the recording ended."""
        return self._index.end

    def wait(self, seconds: float) -> None:
        """Nothing happens in a recording."""

    def apply(self, manifest: Manifest) -> Manifest:
        """Raises Forbidden."""
        raise Forbidden(READ_ONLY)

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """Raises Forbidden."""
        raise Forbidden(READ_ONLY)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Raises Forbidden."""
        raise Forbidden(READ_ONLY)
