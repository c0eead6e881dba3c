"""Waiters: what happens beside an injection."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cluster import Cluster
from harness.errors import InfrastructureError
from scenarios.faults import WAITERS
from scenarios.faults.objects import pods_of
from tests.scenarios.stages import NAMESPACE, healthy_world

CART = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart", "namespace": NAMESPACE}}


def run(cluster: Cluster, name: str, **args: Any) -> None:
    WAITERS[name].model_validate(args).run(cluster)


def cart_pods(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods_of(cluster, cluster.get("Deployment", "cart", NAMESPACE))}


@pytest.mark.parametrize("name", ["restart-kubernetes-workload", "delete-workload-pods"])
def test_pods_are_replaced(name: str) -> None:
    cluster = healthy_world().cluster
    before = cart_pods(cluster)
    run(cluster, name, kubernetesObject=CART)
    cluster.wait(60)
    after = cart_pods(cluster)
    assert len(after) == len(before)
    assert not after & before


def test_scaling_waits_for_the_replicas() -> None:
    cluster = healthy_world().cluster
    run(cluster, "scale-kubernetes-workload", kubernetesObject=CART, replicas=3)
    assert cluster.get("Deployment", "cart", NAMESPACE)["status"]["availableReplicas"] == 3


def test_a_pause_lets_time_pass() -> None:
    cluster = healthy_world().cluster
    before = cluster.now()
    run(cluster, "pause-execution", seconds=90)
    assert cluster.now() == before + 90


def test_a_workload_that_does_not_follow_is_an_infrastructure_error() -> None:
    cluster = healthy_world().cluster
    invalid = {"containers": [{"name": "cart", "image": "registry.example/no-such-image:1"}]}
    cluster.patch("Deployment", "cart", NAMESPACE, {"spec": {"template": {"spec": invalid}}})
    with pytest.raises(InfrastructureError, match="not rolled out after 300 s"):
        run(cluster, "restart-kubernetes-workload", kubernetesObject=CART)


@pytest.mark.parametrize("name", sorted(set(WAITERS) - {"pause-execution"}))
def test_a_missing_workload_is_an_infrastructure_error(name: str) -> None:
    cluster = healthy_world().cluster
    cluster.delete("Deployment", "cart", NAMESPACE)
    with pytest.raises(InfrastructureError, match="not found"):
        run(cluster, name, kubernetesObject=CART, **({"replicas": 1} if name.startswith("scale") else {}))
