"""Exclusive use of an existing application: a Lease object that one trial at a time holds.

Owns: taking, waiting for and giving back the lease. A holder that was killed loses it when its time is over.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from harness.cluster import Cluster, Conflict, Manifest, NotFound
from harness.environments.kubernetes.marks import Marks

NAME = "sre-harness"


class Lease:
    """One trial's claim to an application."""

    def __init__(self, cluster: Cluster, namespace: str, marks: Marks, seconds: float) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._marks = marks
        self._seconds = int(seconds)

    def take(self) -> bool:
        """Take the lease if nobody holds it; whether that worked. Raises ClusterError."""
        current = self.current()
        if current is not None and not self._over(current):
            return self.holder(current) == self._marks.trial
        body = self._body()
        try:
            if current is not None:
                self._cluster.delete("Lease", NAME, self._namespace)
            self._cluster.apply(body)
        except (Conflict, NotFound):
            return False
        held = self.current()
        return held is not None and self.holder(held) == self._marks.trial

    def release(self) -> None:
        """Give it back, unless somebody else holds it by now. Raises ClusterError."""
        current = self.current()
        if current is not None and self.holder(current) == self._marks.trial:
            self._cluster.delete("Lease", NAME, self._namespace)

    def current(self) -> Manifest | None:
        """The lease as it is."""
        try:
            return self._cluster.get("Lease", NAME, self._namespace)
        except NotFound:
            return None

    @staticmethod
    def holder(lease: Manifest) -> str:
        """Who holds it."""
        return str(lease["spec"].get("holderIdentity", ""))

    def _body(self) -> Manifest:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec: dict[str, Any] = {
            "holderIdentity": self._marks.trial,
            "acquireTime": now,
            "renewTime": now,
            "leaseDurationSeconds": self._seconds,
        }
        metadata = {"name": NAME, "namespace": self._namespace, "labels": self._marks.labels}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def _over(self, lease: Manifest) -> bool:
        spec = lease["spec"]
        renewed = datetime.fromisoformat(
            str(spec.get("renewTime", "1970-01-01T00:00:00Z")).replace("Z", "+00:00")
        )
        return bool((datetime.now(UTC) - renewed).total_seconds() > spec.get("leaseDurationSeconds", 0))
