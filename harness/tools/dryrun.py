"""A cluster that answers writes without performing them, for `dry_run`.

Owns: what a write would return. Does not own: admission; a live cluster may still refuse what a dry
run shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.cluster import Cluster, LogLine, Manifest, PatchType
from harness.patches import merge_patch, strategic_merge


class DryRun:
    """A `Cluster` whose reads are real and whose writes only say what they would have written."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """As the cluster answers."""
        return self._cluster.get(kind, name, namespace)

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """As the cluster answers."""
        return self._cluster.list(kind, namespace, labels)

    def apply(self, manifest: Manifest) -> Manifest:
        """The manifest as given."""
        return manifest

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """The object with the patch merged in. Raises NotFound, Invalid."""
        merge = strategic_merge if strategy == "strategic" else merge_patch
        merged: Manifest = merge(self.get(kind, name, namespace), patch)
        return merged

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Nothing but the check that the object exists. Raises NotFound."""
        self.get(kind, name, namespace)

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """As the cluster answers."""
        return self._cluster.logs(pod, namespace, container, previous, tail)

    def now(self) -> float:
        """The cluster's clock."""
        return self._cluster.now()

    def wait(self, seconds: float) -> None:
        """Nothing: a dry run takes no time."""
