"""The Cluster protocol: the small Kubernetes-shaped API that faults, tools and verdicts are written against.

Owns: the protocol, object references, its three errors, and the multi-step operations that kubectl performs
on the client side (scale, rollout restart, rollout undo, wait). Does not own: any implementation; see
`harness/environments/simulated` and `harness/environments/kubernetes`.

Objects are plain dictionaries in the API server's JSON form (`apiVersion`, `kind`, `metadata`, `spec`, ...).
Methods are synchronous; an environment whose calls block runs them in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

Manifest = dict[str, Any]
"""A Kubernetes object as the API server writes it in JSON."""

PatchType = Literal["strategic", "merge"]

REVISION = "deployment.kubernetes.io/revision"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


class ClusterError(Exception):
    """A request that the cluster refused. The message is the API server's own."""


class NotFound(ClusterError):
    """The object does not exist."""


class Conflict(ClusterError):
    """The object exists already, or was changed meanwhile."""


class Forbidden(ClusterError):
    """Permission, quota or admission refused the request."""


class Invalid(ClusterError):
    """The manifest or the patch is not valid for this kind."""


class ObjectRef(NamedTuple):
    """Names one object. `namespace` is empty for cluster-scoped kinds."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.namespace or 'cluster'}/{self.kind}/{self.name}"


class LogLine(NamedTuple):
    """One line that a container wrote."""

    time: float
    """Seconds since the epoch, UTC."""
    text: str


class Cluster(Protocol):
    """What a fault, a tool or a verdict may ask of a cluster."""

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """Return one object as a copy that the caller may change. Raises NotFound."""

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """Return the objects of a kind, in one namespace or (None) in all, that carry all `labels`.
        They may be shared: read them, do not change them."""

    def apply(self, manifest: Manifest) -> Manifest:
        """Create the object, or replace the one of that name. Raises Invalid, Forbidden."""

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """Merge `patch` into an object. `strategic` merges lists of objects by `name` (ports by `port`) and
        honours `$patch: delete`; `merge` is RFC 7386. A null value removes a key. Raises NotFound, Invalid."""

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object and what it owns. Raises NotFound."""

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """Return the last `tail` lines of a container, oldest first. Raises NotFound, Invalid."""

    def now(self) -> float:
        """Seconds since the epoch on the cluster's clock (virtual in the simulation)."""

    def wait(self, seconds: float) -> None:
        """Let time pass on the cluster's clock."""


def ref(manifest: Manifest) -> ObjectRef:
    """The reference of a manifest."""
    metadata = manifest["metadata"]
    return ObjectRef(manifest["kind"], metadata["name"], metadata.get("namespace", ""))


def exists(cluster: Cluster, target: ObjectRef) -> bool:
    """Whether the object is there."""
    try:
        cluster.get(target.kind, target.name, target.namespace)
    except NotFound:
        return False
    return True


def wait_until(
    cluster: Cluster, condition: Callable[[], bool], timeout: float = 300, interval: float = 5
) -> bool:
    """Let time pass until `condition` holds; False when `timeout` seconds went by first."""
    deadline = cluster.now() + timeout
    while not condition():
        if cluster.now() >= deadline:
            return False
        cluster.wait(interval)
    return True


def scale(cluster: Cluster, kind: str, name: str, namespace: str, replicas: int) -> Manifest:
    """Set the desired number of replicas, as `kubectl scale`."""
    return cluster.patch(kind, name, namespace, {"spec": {"replicas": replicas}})


def rollout_restart(cluster: Cluster, kind: str, name: str, namespace: str) -> Manifest:
    """Replace all pods of a workload by way of its update strategy, as `kubectl rollout restart`."""
    stamp = datetime.fromtimestamp(cluster.now(), UTC).isoformat(timespec="milliseconds")
    template = {"metadata": {"annotations": {RESTARTED_AT: stamp}}}
    return cluster.patch(kind, name, namespace, {"spec": {"template": template}})


def rollout_undo(cluster: Cluster, name: str, namespace: str, to_revision: int = 0) -> Manifest:
    """Put a Deployment back to its previous (or the named) revision, as `kubectl rollout undo`.

    Restores the pod template only: not the replica count, not ConfigMaps. Raises NotFound, Invalid."""
    deployment = cluster.get("Deployment", name, namespace)
    history = {revision_of(owned): owned for owned in owned_replica_sets(cluster, deployment)}
    older = sorted(revision for revision in history if revision < revision_of(deployment))
    wanted = to_revision or (older[-1] if older else 0)
    if wanted not in history:
        raise Invalid(f'no rollout history found for deployment "{name}" (revision {wanted or "previous"})')
    template = deepcopy(history[wanted]["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop("pod-template-hash", None)
    deployment["spec"]["template"] = template
    return cluster.apply(deployment)


def owned_replica_sets(cluster: Cluster, deployment: Manifest) -> list[Manifest]:
    """The ReplicaSets that a Deployment controls."""
    owner, namespace = deployment["metadata"]["name"], deployment["metadata"].get("namespace", "")
    return [
        candidate
        for candidate in cluster.list("ReplicaSet", namespace)
        if any(
            reference["kind"] == "Deployment" and reference["name"] == owner
            for reference in candidate["metadata"].get("ownerReferences", [])
        )
    ]


def revision_of(manifest: Manifest) -> int:
    """The rollout revision that a Deployment or ReplicaSet carries; 0 when it has none."""
    return int(manifest["metadata"].get("annotations", {}).get(REVISION, 0))


def is_rolled_out(workload: Manifest) -> bool:
    """Whether every desired replica runs the current template and is available, as `kubectl rollout status`."""
    desired = workload["spec"].get("replicas", 1)
    status = workload.get("status", {})
    observed = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    return bool(
        observed
        and status.get("updatedReplicas", 0) == desired
        and status.get("replicas", 0) == desired
        and status.get("availableReplicas", 0) == desired
    )


def wait_rolled_out(cluster: Cluster, target: ObjectRef, timeout: float = 300) -> bool:
    """Wait for a workload to be rolled out; False on time-out."""
    return wait_until(
        cluster, lambda: is_rolled_out(cluster.get(target.kind, target.name, target.namespace)), timeout
    )
