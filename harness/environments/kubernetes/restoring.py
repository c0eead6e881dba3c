"""Putting an existing application back to how it was: what its objects asked for before an incident.

Owns: taking the snapshot, keeping it on the cluster so that it survives a killed run, restoring from it, removing
chaos objects for good. Does not own: which objects say what someone asked for (`harness.scoring.collateral`).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from functools import partial

from harness.cluster import Cluster, ClusterError, Manifest, NotFound, ObjectRef, ref
from harness.environments.kubernetes.marks import Marks
from harness.scoring.collateral import SPEC_KINDS, Condition, observe

NAME = "sre-harness-snapshot"
CHAOS_KINDS = (
    "Schedule", "HTTPChaos", "IOChaos", "JVMChaos", "NetworkChaos", "PodChaos", "StressChaos",
)  # fmt: skip
GENERATED = ("kube-root-ca.crt",)
RESTORED = tuple(kind for kind in SPEC_KINDS if kind not in ("ServiceAccount", *CHAOS_KINDS))
"""Kinds that are put back: tokens and chaos experiments are not."""


class Snapshot:
    """What the objects of some namespaces asked for."""

    def __init__(self, objects: Sequence[Manifest], namespaces: Sequence[str]) -> None:
        self.objects = {ref(manifest): manifest for manifest in objects}
        self.namespaces = tuple(namespaces)

    @classmethod
    def take(cls, cluster: Cluster, namespaces: Sequence[str]) -> Snapshot:
        """The present state. Raises ClusterError."""
        return cls(_objects(observe(cluster, namespaces)), namespaces)

    def restore(self, cluster: Cluster) -> list[str]:
        """Put back what was changed or deleted and remove what was made since; what would not go back, and why.
        Raises ClusterError, before anything is changed, where the present state cannot be read."""
        now = {ref(manifest): manifest for manifest in _objects(observe(cluster, self.namespaces))}
        failed: list[str] = []
        for target in now.keys() - self.objects.keys():
            failed += _tried(target, partial(cluster.delete, *target))
        for target, manifest in self.objects.items():
            if now.get(target) != manifest:
                failed += _tried(target, partial(cluster.apply, manifest))
        return failed

    # --- on the cluster

    def keep(self, cluster: Cluster, namespace: str, marks: Marks) -> None:
        """Store it as a Secret, since it may hold some. Raises ClusterError."""
        text = json.dumps({"namespaces": self.namespaces, "objects": list(self.objects.values())})
        data = base64.b64encode(gzip.compress(text.encode())).decode()
        metadata = {"name": NAME, "namespace": namespace, "labels": marks.labels}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"gz": data}})

    @classmethod
    def kept(cls, cluster: Cluster, namespace: str) -> Snapshot | None:
        """The one that a killed run left; None where there is none. Raises ClusterError."""
        try:
            data = cluster.get("Secret", NAME, namespace)["data"]["gz"]
        except NotFound:
            return None
        stored = json.loads(gzip.decompress(base64.b64decode(data)))
        return cls(stored["objects"], stored["namespaces"])

    @staticmethod
    def forget(cluster: Cluster, namespace: str) -> None:
        """Remove the stored one. Raises ClusterError."""
        try:
            cluster.delete("Secret", NAME, namespace)
        except NotFound:
            return


def clean_chaos(cluster: Cluster, namespaces: Sequence[str]) -> list[str]:
    """Remove every chaos experiment, finalizers or not; what would not go."""
    failed: list[str] = []
    for kind in CHAOS_KINDS:
        for namespace in namespaces:
            try:
                found = cluster.list(kind, namespace)
            except NotFound:
                continue  # the cluster does not serve the kind
            except ClusterError as error:
                failed.append(f"{kind} in {namespace}: {error}")
                continue
            for manifest in found:
                failed += _tried(ref(manifest), partial(_force, cluster, ref(manifest)))
    return failed


def _force(cluster: Cluster, target: ObjectRef) -> None:
    cluster.delete(*target)
    try:
        cluster.patch(*target, {"metadata": {"finalizers": None}}, "merge")
    except NotFound:
        return


def _objects(condition: Condition) -> list[Manifest]:
    return [
        manifest
        for target, manifest in condition.objects.items()
        if target.kind in RESTORED and target.name not in GENERATED and not _is_token(manifest)
    ]


def _is_token(manifest: Manifest) -> bool:
    return manifest.get("type") == "kubernetes.io/service-account-token"


def _tried(target: ObjectRef, work: Callable[[], object]) -> list[str]:
    try:
        work()
    except NotFound:
        return []
    except ClusterError as error:
        return [f"{target}: {error}"]
    return []
