"""Chaos experiments are removed for good, finalizers or not, and no agent reaches them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping

import pytest

from harness.cluster import Cluster, ClusterError, Forbidden, Manifest, NotFound, wait_until
from harness.environments.kubernetes import janitor
from harness.environments.kubernetes.access import agent_client, agent_objects, connect
from harness.environments.kubernetes.cluster import KubernetesCluster
from harness.environments.kubernetes.deployment import frame
from harness.environments.kubernetes.marks import Marks
from harness.environments.kubernetes.restoring import CHAOS_KINDS, clean_chaos

GROUP, VERSION = "chaos-mesh.org", "v1alpha1"


def definition(kind: str) -> Manifest:
    """A kind as Chaos Mesh serves it, without its controller: nobody takes finalizers off."""
    plural = kind.lower() + "s" * (not kind.endswith("Chaos"))
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": VERSION, "served": True, "storage": True, "schema": anything}],
        },
    }


def experiment(kind: str, name: str, namespace: str) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "finalizers": ["chaos-mesh/records"]}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": metadata, "spec": {"mode": "all"}}


def connected(kubeconfig: str) -> KubernetesCluster:
    return KubernetesCluster(connect(kubeconfig, None, False))


@pytest.fixture
def served(kubeconfig: str) -> Iterator[str]:
    """A kubeconfig of a cluster that serves Chaos Mesh's kinds."""
    cluster = connected(kubeconfig)
    if cluster.serves("NetworkChaos"):
        pytest.skip("Chaos Mesh is installed there: its own kinds are not replaced")
    for kind in CHAOS_KINDS:
        cluster.apply(definition(kind))
    try:
        wait_until(
            cluster, lambda: all(connected(kubeconfig).serves(kind) for kind in CHAOS_KINDS), 30, interval=1
        )
        yield kubeconfig
    finally:
        for kind in CHAOS_KINDS:
            cluster.delete("CustomResourceDefinition", definition(kind)["metadata"]["name"])


@pytest.mark.kubernetes
class TestOnARealServer:
    @pytest.fixture
    def trial(self, served: str) -> Iterator[tuple[KubernetesCluster, str]]:
        """A trial's namespace with its agent's account, without an application."""
        own, marks = connected(served), Marks("tests", uuid.uuid4().hex[:10], time.time() + 600)
        place = f"app-{marks.trial}"
        for manifest in (*frame(place, {}, marks, 60), *agent_objects(place, "full", marks)):
            own.apply(manifest)
        yield own, place
        clean_chaos(own, (place,))
        janitor.remove_trial(own, marks.trial)

    def test_finalizers_hold_nothing_back(self, trial: tuple[KubernetesCluster, str]) -> None:
        own, place = trial
        for kind in CHAOS_KINDS:
            own.apply(experiment(kind, "one", place))
        own.delete("NetworkChaos", "one", place)
        assert own.get("NetworkChaos", "one", place)["metadata"]["deletionTimestamp"], "held by its finalizer"
        assert clean_chaos(own, (place, "chaos-mesh")) == []
        for kind in CHAOS_KINDS:
            assert own.list(kind, place) == []

    def test_no_agent_sees_or_touches_them(self, trial: tuple[KubernetesCluster, str], served: str) -> None:
        own, place = trial
        own.apply(experiment("NetworkChaos", "one", place))
        agent = KubernetesCluster(agent_client(connect(served, None, False), place), own)
        for attempt in (
            lambda: agent.list("NetworkChaos", place),
            lambda: agent.get("NetworkChaos", "one", place),
            lambda: agent.delete("NetworkChaos", "one", place),
            lambda: agent.apply(experiment("PodChaos", "two", place)),
            lambda: agent.patch("NetworkChaos", "one", place, {"spec": {"mode": "one"}}, "merge"),
        ):
            with pytest.raises(Forbidden):
                attempt()
        assert own.get("NetworkChaos", "one", place)["spec"] == {"mode": "all"}


class Refusing:
    """A cluster that serves one kind, and does not answer for it."""

    def list(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        raise ClusterError("timed out") if kind == "NetworkChaos" else NotFound(kind)


def test_what_could_not_be_looked_at_is_told() -> None:
    cluster: Cluster = Refusing()  # type: ignore[assignment]
    assert clean_chaos(cluster, ("otel-demo",)) == ["NetworkChaos in otel-demo: timed out"]
